"""The network: backbone, head, and the parts that only training uses. Its settings are kept on the member's card."""

from typing import NamedTuple

from torch import Tensor, nn

from lib.core.errors import BadInput
from lib.models.network.backbones import build_backbone
from lib.models.network.heads import ClassInteraction, GeM, Mean, PooledHead, SedHead
from lib.models.network.settings import NetworkSettings


class NetworkOutput(NamedTuple):
    """A network's outputs for a batch; a pooled head has one frame, equal to the clip."""

    clip_logits: Tensor  # (batch, classes)
    frame_logits: Tensor  # (batch, classes, frames)
    embedding: Tensor  # (batch, features) the backbone's features, averaged: where distillation takes hold


class Network(nn.Module):
    """Spectrograms in, logits per clip and per frame out."""

    def __init__(self, settings: NetworkSettings, n_classes: int, pretrained_from: str):
        super().__init__()
        self.backbone = build_backbone(
            settings.backbone, width=settings.width, drop_path=settings.drop_path, weights=pretrained_from
        )
        features = self.backbone.features
        self.mean, self.head = Mean(), _head(settings, features, n_classes)
        self.interaction = ClassInteraction(n_classes, settings.interaction) if settings.interaction else None
        self.distil = nn.Linear(features, settings.distil_size) if settings.distil_size else None
        self.stop_gradient = settings.stop_gradient

    def forward(self, spectrograms: Tensor, unmixed_soundscape: Tensor | None = None) -> NetworkOutput:
        """The output for (batch, 1, mels, frames); the classes interact in the rows marked (batch,), by default all.

        In training, mark the unmixed soundscapes: clips and mixtures have co-occurrences of classes that no site has.
        """
        features = self.backbone(spectrograms)
        embedding = self.mean(features)
        clip, frames = self.head(features.detach() if self.stop_gradient else features)
        if self.interaction is not None:
            shift = self.interaction(clip, unmixed_soundscape)
            clip, frames = clip + shift, frames + shift[..., None]
        return NetworkOutput(clip, frames, embedding)

    def predict_teacher_embedding(self, embedding: Tensor) -> Tensor:
        """(batch, distil_size) the predicted embedding of the teacher; in training only, never exported."""
        assert self.distil is not None, "the network was built without distil_size"
        return self.distil(embedding)


def build_network(settings: NetworkSettings, n_classes: int, pretrained_from: str = "none") -> Network:
    """The network; `pretrained_from` is "none", "timm", or a weight file or folder; it prints which."""
    if settings.stop_gradient and not settings.distil_size:
        raise BadInput(
            "nothing would train the backbone",
            expected="distil_size > 0 beside stop_gradient",
            got="distil_size 0",
            do="set distil_size to the width of the teacher's embedding, or stop_gradient to False",
        )
    return Network(settings, n_classes, pretrained_from)


def _head(settings: NetworkSettings, features: int, n_classes: int) -> nn.Module:
    """The head of that name."""
    if settings.head == "sed":
        return SedHead(features, n_classes, settings.hidden, settings.dropout_features, settings.dropout_hidden)
    pool = Mean() if settings.head == "mean" else GeM((2, 3))
    return PooledHead(features, n_classes, pool, settings.dropout_features)

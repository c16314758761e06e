"""The models of the engine's benches: five networks, an embedder of Perch's size, two heads, and a prior.

Nothing is trained, but batch norms are measured, so that features are as lively as a trained network's: else they fade
with depth, and there would be nothing to compare.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import torch
from onnx import numpy_helper
from torch.optim.swa_utils import update_bn

from lib.competition.classes import ClassList
from lib.core.records import seal, to_json
from lib.learn.baseline.logistic import LogisticModel
from lib.models.embedder.labels import LabelMap, map_labels
from lib.models.embedder.pack import pack_embedder
from lib.models.embedder.packed import open_embedder
from lib.models.export.head import export_head, linear_graph, write_graph
from lib.models.export.network import NETWORK_INPUTS, NETWORK_OUTPUTS, export_network
from lib.models.head.proto_ssm import ProtoNetwork, ProtoSSM
from lib.models.member.card import Measured, MemberCard, write_card
from lib.models.member.golden_output import golden_sound, write_golden_output
from lib.models.member.head import HEAD_OUTPUTS, HeadSessions, golden_soundscape, golden_tokens
from lib.models.member.prior import Prior
from lib.models.member.windows import WindowSpec, mean_probabilities
from lib.models.network.network import build_network
from lib.models.network.settings import NetworkSettings
from lib.models.runtime.onnx import OnnxSession
from lib.models.standin.make import make_standin
from lib.sound.decode import soundscape_windows
from lib.sound.mel.config import FrontEnd

FOLDS, SITE = 5, "S01"
FRONT_END = FrontEnd(normalise="zscore")
WINDOWS = WindowSpec()


def _finish(folder: Path, family: str, classes: ClassList, config: dict, inputs: Sequence[str], outputs: Sequence[str]):
    """Write the card and seal the member."""
    card = MemberCard(
        name=folder.name,
        family=family,
        class_hash=classes.hash,
        config=config,
        config_fingerprint="",
        data_version="",
        seed=0,
        inputs=list(inputs),
        outputs=list(outputs),
        measured=Measured(1.0),
    )
    write_card(folder, card)
    seal(folder, "member")


def make_prior(folder: Path, classes: ClassList) -> None:
    """A prior with random rates for each hour."""
    folder.mkdir(parents=True)
    rates = np.random.default_rng(0).uniform(0.01, 0.2, (2, 24, len(classes)))
    Prior((SITE,), rates).save(folder / "prior.npz")
    _finish(folder, "prior", classes, {}, [], [])


def make_networks(folder: Path, classes: ClassList, backbone: str, sounds: Sequence[np.ndarray]) -> None:
    """Five folds of one graph: its weights, rolled by a row a fold."""
    folder.mkdir(parents=True)
    spectrograms = torch.from_numpy(np.concatenate([WINDOWS.spectrograms(sound, FRONT_END) for sound in sounds]))
    network = build_network(NetworkSettings(backbone=backbone), len(classes))
    with torch.no_grad():
        update_bn([spectrograms], network)
    export_network(network.eval(), folder / "fold0.onnx", *spectrograms.shape[2:])
    for fold in range(1, FOLDS):
        onnx.save(_with_rolled_classes(folder / "fold0.onnx", len(classes), fold), folder / f"fold{fold}.onnx")
    sessions = [
        OnnxSession(path, inputs=NETWORK_INPUTS, outputs=NETWORK_OUTPUTS) for path in sorted(folder.glob("fold*.onnx"))
    ]
    networks = [lambda mel, session=session: session.run(spectrogram=mel) for session in sessions]
    probe = WINDOWS.spectrograms(golden_sound(), FRONT_END)
    write_golden_output(folder, np.array([mean_probabilities(probe, WINDOWS, [network]) for network in networks]))
    config = {"front_end": to_json(FRONT_END), "crop": {"seconds": WINDOWS.seconds}}
    _finish(folder, "network", classes, config, NETWORK_INPUTS, NETWORK_OUTPUTS)


def _with_rolled_classes(path: Path, classes: int, rows: int) -> onnx.ModelProto:
    """The model whose last matrices are of other classes: each fold's outputs differ, its work does not."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if classes in tensor.dims:
            value = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.roll(value, rows, value.shape.index(classes)), tensor.name))
    return model


def make_embedder(folder: Path, classes: ClassList, width: float) -> LabelMap:
    """Pack a stand-in as embedder, and return its label map: each class has its own label."""
    names = [f"Genus species{n}" for n in range(len(classes))]
    model = make_standin(folder / "raw", scientific_names=names, width=width)
    labels = pd.read_csv(folder / "raw" / "labels.csv").iloc[:, 0].tolist()
    taxonomy = pd.DataFrame({"primary_label": classes.labels, "scientific_name": names, "class_name": "Aves"})
    label_map = map_labels(taxonomy, labels)
    pack_embedder(model, None, label_map, classes, folder / "embedders" / "perch")
    return label_map


def make_heads(folder: Path, classes: ClassList, sounds: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """A linear head and a ProtoSSM of the public chain's size, on the scales of the embedder's outputs."""
    embedder = open_embedder(folder / "embedders" / "perch", classes)
    tokens = [embedder.embed(soundscape_windows(sound)).by_name() for sound in sounds]
    rows = {name: np.concatenate([each[name] for each in tokens]) for name in tokens[0]}
    shape = rows["embedding"].shape[1], len(classes)
    centre, spread = rows["embedding"].mean(axis=0), rows["embedding"].std(axis=0) + 1e-6

    def linear(path: Path) -> list[str]:
        weights = rng.normal(size=shape) / np.sqrt(shape[0])
        write_graph(
            linear_graph(
                LogisticModel(centre, spread, weights, rng.normal(size=shape[1]) - 2, 5.0), {"embedding": shape[0]}
            ),
            path,
        )
        return ["embedding"]

    def proto_ssm(path: Path) -> list[str]:
        network = ProtoSSM(ProtoNetwork(), rows["embedding"], rows["logits"], np.array([1]))
        export_head(network.eval(), path)
        return ["embedding", "logits", "site", "hour"]

    for export in (linear, proto_ssm):
        member = folder / "members" / export.__name__
        member.mkdir(parents=True)
        for fold in range(FOLDS):
            inputs = export(member / f"fold{fold}.onnx")
        config = {
            "sites": [SITE],
            "rolls": [0],
            "flip": False,
            "embedder": "perch",
            "embedder_manifest": embedder.manifest,
        }
        files, probe = HeadSessions(member, inputs, config), golden_soundscape([SITE])
        one = {name: value[None] for name, value in golden_tokens(embedder).items()}
        hours = np.array([probe.hour])
        write_golden_output(
            member, np.array([files.probabilities(one, [probe.site], hours, [fold])[0] for fold in files.folds])
        )
        _finish(member, "head", classes, config, inputs, HEAD_OUTPUTS)

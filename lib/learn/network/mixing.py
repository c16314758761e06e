"""Augmentation of a batch: waveform changes, mixup, backgrounds, and the targets of mixtures."""

from dataclasses import replace

import torch

from lib.core.errors import BadInput
from lib.learn.network.dataset import Batch
from lib.sound.augment.settings import AugmentSettings
from lib.sound.augment.waveform import AUGMENTATIONS, add_background, apply_to_some, draw_rows, mixup, mixup_targets


def augment_batch(batch: Batch, generator: torch.Generator, settings: AugmentSettings) -> Batch:
    """Augment a batch's audio: clips are mixed and get backgrounds, all rows are rolled, get noise, filter and gain.

    Soundscapes are never mixed and get no background, so that layers trained on real soundscapes alone can find them.
    """
    _require_partners(batch, settings)
    soundscape = batch.soundscape.nonzero()[:, 0]
    clips = (~batch.soundscape).nonzero()[:, 0]
    audio = apply_to_some(batch.audio, settings.roll_p, AUGMENTATIONS["roll"], generator, settings)
    batch = replace(batch, audio=audio)
    for probability, partners in ((settings.mixup_p, clips), (settings.soundscape_mixup_p, soundscape)):
        rows = draw_rows(clips, probability, generator)
        if len(rows):
            pick = torch.randint(len(partners), (len(rows),), generator=generator, device=rows.device)
            batch = _mix(batch, rows, partners[pick], generator, settings)
    audio = batch.audio
    rows = draw_rows(clips, settings.background_p, generator)
    if len(rows) and batch.background is not None:
        audio = audio.index_copy(0, rows, add_background(audio[rows], batch.background[rows], generator, settings))
    for name in ("noise", "filter", "gain"):
        audio = apply_to_some(audio, getattr(settings, f"{name}_p"), AUGMENTATIONS[name], generator, settings)
    return replace(batch, audio=audio, background=None)


def mix_pseudo_with_clips(batch: Batch, generator: torch.Generator) -> Batch:
    """Mix each pseudo-labelled crop of a batch half and half with one of its clips."""
    if batch.pseudo is None:
        return batch
    rows, clips = batch.pseudo.nonzero()[:, 0], (~batch.soundscape).nonzero()[:, 0]
    if not len(clips):
        raise BadInput(
            "pseudo-labelled crops have no clip to be mixed with",
            expected="clips in a batch",
            got="none",
            do="lower soundscape_share, or set pseudo_mode=rows",
        )
    partners = clips[torch.randint(len(clips), (len(rows),), generator=generator, device=rows.device)]
    half = (batch.audio[rows] + batch.audio[partners]) / 2
    return replace(_replace_rows(batch, rows, partners, half), soundscape=batch.soundscape & ~batch.pseudo)


def _mix(batch: Batch, rows: torch.Tensor, partners: torch.Tensor, generator, settings) -> Batch:
    """The batch with mixup of these rows with their partners."""
    return _replace_rows(batch, rows, partners, mixup(batch.audio[rows], batch.audio[partners], generator, settings))


def _replace_rows(batch: Batch, rows: torch.Tensor, partners: torch.Tensor, audio: torch.Tensor) -> Batch:
    """The batch with this audio in these rows, and the union of their targets with those of their partners."""
    targets, weights = mixup_targets(
        batch.targets[rows], batch.weights[rows], batch.targets[partners], batch.weights[partners]
    )
    return replace(
        batch,
        audio=batch.audio.index_copy(0, rows, audio),
        targets=batch.targets.index_copy(0, rows, targets),
        weights=batch.weights.index_copy(0, rows, weights),
    )


def _require_partners(batch: Batch, settings: AugmentSettings) -> None:
    """Refuse settings that need something which the batch does not hold."""
    clips = bool((~batch.soundscape).any())
    lacking = {
        "labelled soundscapes to mix with": clips and settings.soundscape_mixup_p > 0 and not batch.soundscape.any(),
        "backgrounds": clips and settings.background_p > 0 and batch.background is None,
    }
    if missing := [what for what, lacks in lacking.items() if lacks]:
        raise BadInput(
            "the batch lacks what its augmentation needs",
            expected=", ".join(missing),
            got="a batch without",
            do="set soundscape_mixup_p=0 or background_p=0, or raise soundscape_share",
        )

"""Augmenting a batch: who is changed, who is mixed with whom, and what is true of the mixtures."""

from dataclasses import replace

import torch

from lib.core.errors import BadInput
from lib.learn.network.dataset import Batch
from lib.sound.augment.waveform import (
    AUGMENTATIONS,
    AugmentSettings,
    add_background,
    apply_to_some,
    draw_rows,
    mixup,
    mixup_targets,
)


def augment_batch(batch: Batch, generator: torch.Generator, settings: AugmentSettings) -> Batch:
    """The batch with its sound changed: clips mixed and laid over backgrounds, all rolled, with noise, filter, gain.

    Soundscapes are never mixed and get no background, so what learns from real soundscapes alone can find them.
    """
    _refuse_impossible(batch, settings)
    soundscape = batch.soundscape.nonzero()[:, 0]
    clips = (~batch.soundscape).nonzero()[:, 0]
    audio = apply_to_some(batch.audio, settings.roll_p, AUGMENTATIONS["roll"], generator, settings)
    batch = replace(batch, audio=audio)
    for probability, partners in ((settings.mixup_p, clips), (settings.soundscape_mixup_p, soundscape)):
        rows = draw_rows(clips, probability, generator)
        if len(rows):
            pick = torch.randint(len(partners), (len(rows),), generator=generator, device=rows.device)
            batch = _mixed(batch, rows, partners[pick], generator, settings)
    audio = batch.audio
    rows = draw_rows(clips, settings.background_p, generator)
    if len(rows):
        audio = audio.index_copy(0, rows, add_background(audio[rows], batch.background[rows], generator, settings))
    for name in ("noise", "filter", "gain"):
        audio = apply_to_some(audio, getattr(settings, f"{name}_p"), AUGMENTATIONS[name], generator, settings)
    return replace(batch, audio=audio, background=None)


def mix_pseudo_with_clips(batch: Batch, generator: torch.Generator) -> Batch:
    """The batch with each crop that a teacher labelled mixed half and half with one of the clips."""
    rows, clips = batch.taught.nonzero()[:, 0], (~batch.soundscape).nonzero()[:, 0]
    if not len(clips):
        raise BadInput(
            "pseudo-labelled crops have no clip to be mixed with",
            expected="clips in a batch",
            got="none",
            do="lower soundscape_share, or set pseudo_mode to rows",
        )
    partners = clips[torch.randint(len(clips), (len(rows),), generator=generator, device=rows.device)]
    half = (batch.audio[rows] + batch.audio[partners]) / 2
    return replace(_united(batch, rows, partners, half), soundscape=batch.soundscape & ~batch.taught)


def _mixed(batch: Batch, rows: torch.Tensor, partners: torch.Tensor, generator, settings) -> Batch:
    """The batch with these rows mixed with their partners."""
    return _united(batch, rows, partners, mixup(batch.audio[rows], batch.audio[partners], generator, settings))


def _united(batch: Batch, rows: torch.Tensor, partners: torch.Tensor, audio: torch.Tensor) -> Batch:
    """The batch with this audio in these rows, and what is true of both them and their partners."""
    targets, weights = mixup_targets(
        batch.targets[rows], batch.weights[rows], batch.targets[partners], batch.weights[partners]
    )
    return replace(
        batch,
        audio=batch.audio.index_copy(0, rows, audio),
        targets=batch.targets.index_copy(0, rows, targets),
        weights=batch.weights.index_copy(0, rows, weights),
    )


def _refuse_impossible(batch: Batch, settings: AugmentSettings) -> None:
    """Refuse settings that want what the batch does not bring."""
    clips = bool((~batch.soundscape).any())
    wants = {
        "labelled soundscapes to mix with": clips and settings.soundscape_mixup_p > 0 and not batch.soundscape.any(),
        "backgrounds": clips and settings.background_p > 0 and batch.background is None,
    }
    if missing := [what for what, wanted in wants.items() if wanted]:
        raise BadInput(
            "a batch cannot be augmented so",
            expected=", ".join(missing),
            got="a batch that differs",
            do="change the probabilities, or what the feeder brings",
        )

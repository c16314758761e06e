"""Mel spectrograms in torch, for training: batched, differentiable, on any device, equal to those without torch."""

import torch
from torch import nn
from torch.nn.functional import pad

from lib.sound.mel.config import FrontEnd
from lib.sound.mel.filterbank import bank_blocks, mel_bank, taper
from lib.sound.mel.scaling import (
    PCEN_BIAS,
    PCEN_FLOOR,
    PCEN_GAIN,
    PCEN_QUOTIENT,
    PERCH_FLOOR,
    PERCH_GAIN,
    POWER_FLOOR,
    SPREAD_FLOOR,
    pcen_block,
)

_SILENT_POWER = 1e-37  # the slope of a root is infinite at 0


class MelSpectrogram(nn.Module):
    """Module from (batch, samples + 2 context_samples) audio to (batch, mels, frames) float32, under autocast too.

    Leave torch's "highest" precision of float32 products alone: a lower one would round the mel bank.
    """

    taper: torch.Tensor
    bank: torch.Tensor
    smoother: torch.Tensor
    past: torch.Tensor

    def __init__(self, front_end: FrontEnd):
        super().__init__()
        self.front_end = front_end
        self.context_samples = front_end.context_samples
        weights, past = pcen_block(front_end.hop_samples)
        for name, values in (
            ("taper", taper(front_end)),
            ("bank", mel_bank(front_end).T.copy()),
            ("smoother", weights),
            ("past", past),
        ):
            self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, audio: torch.Tensor, peak_db: torch.Tensor | None = None) -> torch.Tensor:
        """The spectrograms; `peak_db` (batch,) is as in `lib.sound.mel.cpu.spectrograms` (None: a row is its file)."""
        with torch.autocast(audio.device.type, enabled=False):
            # A row at a time stays in a CPU's cache: as measured, a batch at once takes three times as long.
            rows = audio.float().split(1 if audio.device.type == "cpu" else len(audio))
            return self._normalise(self._scale(torch.cat([self._mel(part) for part in rows]), peak_db))

    def _mel(self, audio: torch.Tensor) -> torch.Tensor:
        """(batch, mels, frames) mel energies."""
        settings = self.front_end
        settings.frames(audio.shape[1] - 2 * self.context_samples)  # refuses what is too short
        beyond = settings.n_fft // 2 - self.context_samples
        padded = pad(audio[:, None], (beyond, beyond), mode="reflect")[:, 0]
        spectrum = torch.fft.rfft(padded.unfold(-1, settings.n_fft, settings.hop_samples) * self.taper)
        energy = spectrum.real.square() + spectrum.imag.square()
        if settings.magnitude_power == 1:
            energy = energy.clamp(min=_SILENT_POWER).sqrt() * (energy > _SILENT_POWER)
        blocks = [energy[..., bins] @ self.bank[bins, mels] for mels, bins in bank_blocks(settings)]
        return torch.cat(blocks, dim=-1).transpose(1, 2)

    def _scale(self, mel: torch.Tensor, peak_db: torch.Tensor | None) -> torch.Tensor:
        """The mel energies on the front end's scale."""
        if self.front_end.level == "pcen":
            return self._pcen(mel)
        if self.front_end.level == "log":
            return PERCH_GAIN * mel.clamp(min=PERCH_FLOOR).log()
        if self.front_end.level == "db":
            return self._decibels(mel if self.front_end.magnitude_power == 2 else mel.square(), peak_db)
        return mel

    def _decibels(self, power: torch.Tensor, peak_db: torch.Tensor | None) -> torch.Tensor:
        level = 10.0 * power.clamp(min=POWER_FLOOR).log10()
        peaks = level.amax(dim=(1, 2)) if peak_db is None or self.front_end.scope == "window" else peak_db.float()
        return torch.maximum(level, (peaks - self.front_end.top_db)[:, None, None])

    def _pcen(self, mel: torch.Tensor) -> torch.Tensor:
        smooth, before = [], mel[..., :1]
        for block in mel.split(len(self.past), dim=-1):
            frames = block.shape[-1]
            smooth.append(block @ self.smoother[:frames, :frames] + before * self.past[:frames])
            before = smooth[-1][..., -1:]
        divisor = (torch.cat(smooth, dim=-1) + PCEN_FLOOR).log().mul(PCEN_GAIN).exp()
        return (PCEN_QUOTIENT * mel / divisor + PCEN_BIAS).sqrt() - PCEN_BIAS**0.5

    def _normalise(self, mel: torch.Tensor) -> torch.Tensor:
        for step in () if self.front_end.normalise == "none" else self.front_end.normalise.split():
            mel = mel - mel.amin(dim=(1, 2), keepdim=True)
            if step == "bands":
                mel = mel - mel.mean(dim=2, keepdim=True)
                continue
            if step == "zscore":
                mel = mel - mel.mean(dim=(1, 2), keepdim=True)
                # The floor goes under the root: there the slope of silence stays finite.
                spread = mel.square().mean(dim=(1, 2), keepdim=True).clamp(min=SPREAD_FLOOR**2).sqrt()
            else:
                spread = mel.amax(dim=(1, 2), keepdim=True).clamp(min=SPREAD_FLOOR)
            mel = mel / spread
        return mel

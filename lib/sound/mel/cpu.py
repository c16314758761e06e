"""The mel front end without torch: chunked real FFTs, a blocked mel bank, frames shared between windows of a file."""

from collections.abc import Sequence

import numpy as np
from scipy import fft

from lib.core.errors import BadInput
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.filterbank import bank_blocks, mel_bank, taper
from lib.sound.mel.scaling import PERCH_FLOOR, PERCH_GAIN, decibels, normalise_spectrograms, pcen

_CHUNK_FRAMES = 64  # keeps a chunk in the cache, as measured: all frames at once is half as fast
_WORTH_SHARING = 0.9  # copying shared frames into their windows costs about a tenth of computing them


def spectrograms(windows: np.ndarray, front_end: FrontEnd, peak_db: np.ndarray | float | None = None) -> np.ndarray:
    """(windows, mels, frames) float32 spectrograms of (windows, samples + 2 context) audio.

    With scope "file", `peak_db` is `file_peak_db` of the windows' file; None: each window is taken as its whole file.
    """
    return normalise_spectrograms(_scale(mel_power(windows, front_end), front_end, peak_db), front_end.normalise)


def soundscape_spectrograms(audio: np.ndarray, front_end: FrontEnd, starts: np.ndarray, samples: int) -> np.ndarray:
    """(starts, mels, frames) float32 spectrograms of the windows that start at these samples of a file.

    They equal `spectrograms` of the cut windows, with edges "file" cut with the sound around them; the file's own ends
    are reflected. Pass the starts of all shifts at once: frames that windows share are computed once. Windows share
    frames where their starts differ by whole hops; with edges "reflect", the few frames at its edges are its own.
    """
    starts = np.asarray(starts)
    if not len(starts) or starts.min() < 0 or starts.max() + samples > len(audio):
        raise BadInput(
            "windows of a soundscape",
            expected=f"{samples} samples each within its {len(audio)}",
            got=f"starts {starts.tolist()}",
            do="pad the audio or move the starts",
        )
    power = _soundscape_power(audio, front_end, starts, samples)
    counts_from_file = front_end.level == "db" and front_end.scope == "file"
    peak_db = file_peak_db(audio, front_end) if counts_from_file else None
    return normalise_spectrograms(_scale(power, front_end, peak_db), front_end.normalise)


def file_peak_db(audio: np.ndarray, front_end: FrontEnd) -> float:
    """The loudest cell of a whole file's spectrogram in dB, from which scope "file" counts `top_db`."""
    whole = np.pad(audio, front_end.context_samples, mode="reflect")
    mel = mel_power(whole[None], front_end)
    return float(decibels(mel if front_end.magnitude_power == 2 else np.square(mel)).max())


def mel_power(windows: Sequence[np.ndarray] | np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """(windows, mels, frames) mel energies of (windows, samples + 2 context) audio, before any scaling."""
    centres = _centres(front_end, len(windows[0]) - 2 * front_end.context_samples)
    power = np.empty((len(windows), front_end.n_mels, len(centres)), dtype=np.float32)
    for window, out in zip(windows, power, strict=True):
        _fill(out, _pad(window, front_end), centres, front_end)
    return power


def _scale(mel: np.ndarray, front_end: FrontEnd, peak_db: np.ndarray | float | None = None) -> np.ndarray:
    """(windows, mels, frames) float32 mel energies on the front end's scale; `peak_db` is as in `decibels`."""
    if front_end.level == "pcen":
        return pcen(mel, front_end.hop_samples)
    if front_end.level == "log":
        return np.float32(PERCH_GAIN) * np.log(np.maximum(mel, np.float32(PERCH_FLOOR)))
    if front_end.level == "db":
        power = mel if front_end.magnitude_power == 2 else np.square(mel)
        return decibels(power, front_end.top_db, peak_db if front_end.scope == "file" else None)
    return mel


def _soundscape_power(audio: np.ndarray, front_end: FrontEnd, starts: np.ndarray, samples: int) -> np.ndarray:
    """(starts, mels, frames) mel energies of windows of a file, through shared frames where there are enough."""
    half, context = front_end.n_fft // 2, front_end.context_samples
    whole, centres = np.pad(audio, half, mode="reflect"), _centres(front_end, samples)
    offsets = starts[:, None] + centres
    windows = [whole[start + half - context : start + half + samples + context] for start in starts]
    unique, columns = np.unique(offsets, return_inverse=True)
    if len(unique) > _WORTH_SHARING * offsets.size:
        return mel_power(windows, front_end)
    table = np.empty((front_end.n_mels, len(unique)), dtype=np.float32)
    _fill(table, whole, unique, front_end)
    power = np.stack([table[:, column] for column in columns])
    if front_end.edges == "reflect":
        at_edge = np.flatnonzero((centres < half) | (centres > samples - half))
        own = np.empty((front_end.n_mels, len(at_edge)), dtype=np.float32)
        for window, out in zip(windows, power, strict=True):
            _fill(own, _pad(window, front_end), centres[at_edge], front_end)
            out[:, at_edge] = own
    return power


def _centres(front_end: FrontEnd, samples: int) -> np.ndarray:
    """(frames,) the samples of a window that its frames are centred on."""
    return front_end.hop_samples * np.arange(front_end.frames(samples))


def _pad(window: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """The window with half a frame on each side: reflected, unless it includes real sound as context."""
    return np.pad(window, front_end.n_fft // 2 - front_end.context_samples, mode="reflect")


def _fill(out: np.ndarray, padded: np.ndarray, offsets: np.ndarray, front_end: FrontEnd) -> None:
    """Write the mel energies of the frames that begin at these offsets into `out` (mels, offsets)."""
    frames = np.lib.stride_tricks.sliding_window_view(padded, front_end.n_fft)
    bank, hann, blocks = mel_bank(front_end), taper(front_end), bank_blocks(front_end)
    for start in range(0, len(offsets), _CHUNK_FRAMES):
        chunk = frames[offsets[start : start + _CHUNK_FRAMES]]
        chunk *= hann
        spectrum = fft.rfft(chunk, axis=1)
        energy = np.square(spectrum.real)
        energy += np.square(spectrum.imag)
        if front_end.magnitude_power == 1:
            np.sqrt(energy, out=energy)
        for mels, bins in blocks:
            np.matmul(bank[mels, bins], energy[:, bins].T, out=out[mels, start : start + len(chunk)])

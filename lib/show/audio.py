"""Players, spectrograms and review cards of sounds, as HTML that carries its own audio and images."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_S, WINDOW_S, window_ends
from lib.show.html import Html
from lib.sound.decode import ogg_bytes, soundscape_windows
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import mel_power
from lib.sound.mel.scaling import decibels, pcen

_STOP = "if(this.dataset.stop&&this.currentTime>=this.dataset.stop){this.pause();delete this.dataset.stop}"


def player(audio: np.ndarray, name: str = "") -> Html:
    """A player of (samples,) 32 kHz audio, as 16 kHz Ogg Vorbis in the page itself.

    One with a name, unique in its page, can be started by `play_button` on a stretch.
    """
    coded = base64.b64encode(ogg_bytes(audio)).decode()
    named = f' id="{name}" ontimeupdate="{_STOP}"' if name else ""
    style = "width:100%;max-width:300px;height:32px"
    return Html(
        f'<audio controls preload="metadata"{named} style="{style}" src="data:audio/ogg;base64,{coded}"></audio>'
    )


def play_button(name: str, start_s: int, stop_s: int) -> Html:
    """A button that starts the player of that name from second to second."""
    play = f"const a=document.getElementById('{name}');a.currentTime={start_s};a.dataset.stop={stop_s};a.play()"
    style = "white-space:nowrap;font-size:11px;padding:1px 4px"
    return Html(f'<button style="{style}" onclick="{play}">▶ {start_s}–{stop_s}</button>')


_FRONT_END = FrontEnd(n_fft=1024, hop_samples=512, n_mels=96)
_BANDS_HZ = ((0, 500), (500, 1000), (1000, 2000), (2000, 4000), (4000, 8000), (8000, 16000))
_BAND_FRAME = 1024
_LEAD_FRAMES = 128


@dataclass(frozen=True, eq=False)
class ReviewCard:
    """An item to review: heading, reason, and its sounds (samples,) by name."""

    heading: str
    reason: str
    sounds: Mapping[str, np.ndarray]


def sound_figure(audio: np.ndarray, colour: str) -> Figure:
    """Four panels of one sound: waveform, log-mel, PCEN, and each band's level with its SNR proxy."""
    power = mel_power(audio[None], _FRONT_END)
    figure, axes = plt.subplots(1, 4, figsize=(13, 2.1), gridspec_kw={"width_ratios": [3, 3, 3, 2]})
    _waveform(axes[0], audio, colour)
    for axis, spectrogram, name in (
        (axes[1], decibels(power)[0], "log-mel, 80 dB"),
        (axes[2], _log_pcen(power)[0], "PCEN"),
    ):
        extent = (0, len(audio) / SAMPLE_RATE, 0, _FRONT_END.n_mels)
        axis.imshow(spectrogram, origin="lower", aspect="auto", cmap="magma", extent=extent)
        axis.set_yticks(
            [mel_position(khz * 1000, _FRONT_END) for khz in (1, 2, 4, 8)], ["1 kHz", "2", "4", "8"], fontsize=7
        )
        axis.set_title(name, fontsize=9)
    for axis in axes[:3]:
        axis.set_xlabel("seconds", fontsize=8)
    _bands(axes[3], audio, colour)
    figure.tight_layout()
    plt.close(figure)
    return figure


def spectrogram_and_player(audio: np.ndarray, title: str, colour: str) -> Html:
    """The title, the four panels as an image, and a player below it."""
    alt = f"{title}: waveform, log-mel and PCEN spectrograms, and the levels of six bands"
    image = _image(sound_figure(audio, colour), alt, dpi=78, style="width:100%;min-width:48rem;max-width:64rem")
    box = f"<div style='overflow-x:auto'>{image}</div>"
    return Html(f"<div><b>{html.escape(title)}</b>{box}{player(audio).html}</div>")


def minute_browser(audio: np.ndarray, labels: Mapping[int, Sequence[tuple[str, str]]], title: str, name: str) -> Html:
    """A minute as twelve columns: spectrogram, a button that plays the window, and its labels as (text, colour).

    `labels` has windows by their end second; one that is missing there has a dash. `name` is unique in a page.
    """
    cells = []
    for end_s in window_ends():
        texts = labels.get(end_s, [("–", "#888")])
        lines = "<br>".join(f"<span style='color:{colour}'>{html.escape(text)}</span>" for text, colour in texts)
        button = play_button(name, end_s - WINDOW_S, end_s).html
        style = "vertical-align:top;text-align:left;font-size:10px;line-height:1.25;padding:2px;overflow:hidden"
        cells.append(f"<td style='{style}'>{button}<br>{lines}</td>")
    row = f"<table style='width:100%;table-layout:fixed;border-collapse:collapse'><tr>{''.join(cells)}</tr></table>"
    wide = _image(minute_figure(audio), f"{title}: log-mel spectrogram", dpi=80)
    sound = player(np.concatenate(soundscape_windows(audio)), name).html
    box = f"<div style='overflow-x:auto'><div style='min-width:54rem'>{wide}{row}</div></div>"
    return Html(f"<div><b>{html.escape(title)}</b><br>{sound}{box}</div>")


def minute_figure(audio: np.ndarray) -> Figure:
    """The log-mel spectrogram of a minute without margins, cut into its windows, frequencies written inside."""
    spectrogram = np.concatenate(list(decibels(mel_power(soundscape_windows(audio), _FRONT_END))), axis=1)
    figure, axis = plt.subplots(figsize=(12, 2.4))
    extent = (0, SOUNDSCAPE_S, 0, _FRONT_END.n_mels)
    axis.imshow(spectrogram, origin="lower", aspect="auto", cmap="magma", extent=extent)
    for end_s in window_ends()[:-1]:
        axis.axvline(end_s, color="white", linewidth=0.6)
    for khz in (1, 2, 4, 8):
        axis.text(0.2, mel_position(khz * 1000, _FRONT_END), f"{khz} kHz", color="white", fontsize=7, va="center")
    axis.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1)
    plt.close(figure)
    return figure


def gallery(cards: Sequence[ReviewCard]) -> Html:
    """The cards side by side: heading and reason, then of each sound its name, log-mel spectrogram and player."""
    if not cards:
        return Html("<p>Nothing to review.</p>")
    return Html(f"<div style='display:flex;flex-wrap:wrap;gap:16px'>{''.join(map(_card, cards))}</div>")


def _card(card: ReviewCard) -> str:
    parts = [f"<b>{html.escape(card.heading)}</b><br>{html.escape(card.reason)}"]
    for name, audio in card.sounds.items():
        image = _image(_small_spectrogram(audio), f"log-mel spectrogram of {name}", dpi=80)
        parts.append(f"<div style='margin-top:4px;overflow-wrap:anywhere'>{html.escape(name)}</div>{image}")
        parts.append(player(audio).html)
    return f"<div style='width:290px;font-size:12px;line-height:1.3'>{''.join(parts)}</div>"


def _small_spectrogram(audio: np.ndarray) -> Figure:
    figure, axis = plt.subplots(figsize=(3.6, 1.4))
    axis.imshow(decibels(mel_power(audio[None], _FRONT_END))[0], origin="lower", aspect="auto", cmap="magma")
    axis.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1)
    plt.close(figure)
    return figure


def _waveform(axis, audio: np.ndarray, colour: str) -> None:
    """Draw the lowest and highest sample of each of about a thousand stretches."""
    step = max(1, len(audio) // 1000)
    blocks = audio[: len(audio) // step * step].reshape(-1, step)
    seconds = np.arange(len(blocks)) * step / SAMPLE_RATE
    axis.fill_between(seconds, blocks.min(axis=1), blocks.max(axis=1), color=colour, linewidth=0)
    axis.set_ylim(-1, 1)
    axis.set_xlim(0, len(audio) / SAMPLE_RATE)
    axis.set_title(f"waveform, peak {np.abs(audio).max():.2f}", fontsize=9)


def _log_pcen(power: np.ndarray) -> np.ndarray:
    """Log PCEN, started on the reversed beginning: an excerpt's first frame is no estimate of the usual level."""
    lead = power[..., 1 : _LEAD_FRAMES + 1][..., ::-1]
    flat = pcen(np.concatenate([lead, power], axis=-1), _FRONT_END.hop_samples)
    return np.log1p(flat[..., lead.shape[-1] :])


def _bands(axis, audio: np.ndarray, colour: str) -> None:
    """Draw each band's quiet (10 %) to loud (95 %) level over frames, in dB, with the difference beside it."""
    whole = np.pad(audio, (0, max(0, _BAND_FRAME - len(audio))))
    frames = np.abs(np.fft.rfft(whole[: len(whole) // _BAND_FRAME * _BAND_FRAME].reshape(-1, _BAND_FRAME))) ** 2
    hertz = np.fft.rfftfreq(_BAND_FRAME, 1 / SAMPLE_RATE)
    for place, (low, high) in enumerate(_BANDS_HZ):
        energy = 10 * np.log10(frames[:, (hertz >= low) & (hertz < high)].sum(axis=1) / _BAND_FRAME**2 + 1e-12)
        quiet, loud = np.quantile(energy, [0.1, 0.95])
        axis.barh(place, loud - quiet, left=quiet, color=colour)
        axis.text(loud, place, f" {loud - quiet:.0f}", va="center", fontsize=7)
    names = [f"{low / 1000:g}–{high / 1000:g} kHz" for low, high in _BANDS_HZ]
    axis.set_yticks(range(len(_BANDS_HZ)), names, fontsize=7)
    axis.margins(x=0.15)
    axis.set_title("band level, quiet to loud, dB", fontsize=9)


def mel_position(hertz: float, front_end: FrontEnd) -> float:
    """The place of a frequency on a spectrogram, in mel bands."""
    low, high, at = (np.log10(1 + each / 700) for each in (front_end.fmin_hz, front_end.fmax_hz, hertz))
    return float((at - low) / (high - low) * front_end.n_mels)


def _image(figure: Figure, alt: str, dpi: int, style: str = "width:100%") -> str:
    """The figure as an image element that carries its own data, and a description."""
    file = io.BytesIO()
    figure.savefig(file, format="jpeg", dpi=dpi)
    data = base64.b64encode(file.getvalue()).decode()
    return f"<img alt='{html.escape(alt)}' style='{style};display:block' src='data:image/jpeg;base64,{data}'>"

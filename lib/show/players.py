"""Pages with sound: a player is a part of a page like a figure or a table."""

import base64

import numpy as np

from lib.show.pieces import Html
from lib.sound.encode import ogg

_STOP = "if(this.dataset.stop&&this.currentTime>=this.dataset.stop){this.pause();delete this.dataset.stop}"


def player(audio: np.ndarray, name: str = "") -> Html:
    """A player of (samples,) 32 kHz audio, as 16 kHz Ogg Vorbis in the page itself.

    One with a name, unique in its page, can be told by `play_button` to play a stretch.
    """
    coded = base64.b64encode(ogg(audio)).decode()
    named = f' id="{name}" ontimeupdate="{_STOP}"' if name else ""
    style = "width:100%;max-width:300px;height:32px"
    return Html(
        f'<audio controls preload="metadata"{named} style="{style}" src="data:audio/ogg;base64,{coded}"></audio>'
    )


def play_button(name: str, start_s: int, stop_s: int) -> Html:
    """A button that lets the player of that name play from second to second."""
    play = f"const a=document.getElementById('{name}');a.currentTime={start_s};a.dataset.stop={stop_s};a.play()"
    style = "white-space:nowrap;font-size:11px;padding:1px 4px"
    return Html(f'<button style="{style}" onclick="{play}">▶ {start_s}–{stop_s}</button>')

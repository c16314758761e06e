"""The runtime of members' networks: ONNX Runtime, or OpenVINO in half the bits where that is as good and faster.

Only networks are offered OpenVINO: an embedder computes its own spectrogram inside its graph, and rounding there
spoils it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.core.errors import BadInput
from lib.models.member.open import Member
from lib.sound.decode import UnreadableAudio, read_soundscape

RUNTIMES = ("onnxruntime", "openvino")
_TRIED_SOUNDSCAPES = 4  # on which bfloat16 is compared with float32, beside the golden sound


def choose_runtime(runtime: str, members: Mapping[str, Member], soundscapes: Sequence[Path]) -> dict[str, str]:
    """The runtime of each network member from now on, with the reason; OpenVINO only if it ranks windows alike."""
    if runtime not in RUNTIMES:
        raise BadInput("unknown runtime", expected=" or ".join(RUNTIMES), got=runtime, do="set runtime to one of these")
    switches = {
        name: member.use_bf16_if_equivalent for name, member in members.items() if member.use_bf16_if_equivalent
    }
    if runtime == "onnxruntime":
        return dict.fromkeys(switches, "onnxruntime")
    sounds = []
    for soundscape in soundscapes[:_TRIED_SOUNDSCAPES]:
        try:
            sounds.append(read_soundscape(soundscape).audio)
        except UnreadableAudio:  # reported when all soundscapes are scored
            continue
    return {name: _switched(switch, sounds) for name, switch in switches.items()}


def _switched(switch: Callable[[Sequence[np.ndarray]], str], sounds: Sequence[np.ndarray]) -> str:
    """The runtime of a member; where OpenVINO fails, ONNX Runtime stays."""
    try:
        return switch(sounds)
    except Exception as error:  # it is optional, and each version raises something else
        return f"onnxruntime: OpenVINO failed, {type(error).__name__}: {' '.join(f'{error}'.split())[:200]}"

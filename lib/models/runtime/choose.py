"""Where members' networks work: in ONNX Runtime, or in OpenVINO and half the bits where that is as good and faster.

Only networks are offered OpenVINO: an embedder makes its own picture inside its graph, and rounding there spoils it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.core.errors import BadInput
from lib.models.member.open import Member
from lib.sound.decode import UnreadableAudio, decode

RUNTIMES = ("onnxruntime", "openvino")
_LISTENED = 4  # soundscapes that bfloat16 is tried on, beside the probe


def choose_runtime(runtime: str, members: Mapping[str, Member], soundscapes: Sequence[Path]) -> dict[str, str]:
    """Where each network member works from now on, and why: all in ONNX Runtime, or in OpenVINO if that ranks alike."""
    if runtime not in RUNTIMES:
        raise BadInput("no such runtime", expected=" or ".join(RUNTIMES), got=runtime, do="correct `runtime`")
    networks = {name: member for name, member in members.items() if member.use_bf16_if_equivalent}
    if runtime == "onnxruntime":
        return {name: "onnxruntime" for name in networks}
    sounds = []
    for soundscape in soundscapes[:_LISTENED]:
        try:
            sounds.append(decode(soundscape))
        except UnreadableAudio:  # whoever listens to all of them gives the alarm
            continue
    return {name: member.use_bf16_if_equivalent(sounds) for name, member in networks.items()}

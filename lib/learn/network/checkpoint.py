"""Checkpoints that survive being killed while they are written: a new one takes the old one's place at once."""

import hashlib
import io
import os
from pathlib import Path

import torch

from lib.core.errors import BadInput

LATEST, PREVIOUS = "checkpoint", "checkpoint.previous"
_PARTIAL, _DAMAGED = "checkpoint.partial", "checkpoint.damaged"
_DIGEST_BYTES = hashlib.sha256().digest_size


def save_checkpoint(folder: Path, fingerprint: str, state: dict) -> None:
    """Write the state; the one before it stays as the previous one."""
    buffer = io.BytesIO()
    torch.save({"fingerprint": fingerprint, "state": state}, buffer)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _PARTIAL).open("wb") as file:
        file.write(hashlib.sha256(buffer.getbuffer()).digest())  # torch.load does not notice a changed byte
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    if (folder / LATEST).exists():
        os.replace(folder / LATEST, folder / PREVIOUS)
    os.replace(folder / _PARTIAL, folder / LATEST)


def load_checkpoint(folder: Path, fingerprint: str) -> dict | None:
    """The newest whole state on the CPU, or None where nothing was saved; that of another configuration is refused."""
    existing = [folder / name for name in (LATEST, PREVIOUS) if (folder / name).exists()]
    for path in existing:
        loaded = _read_if_whole(path)
        if loaded is None:
            print(f"{path} is damaged and set aside")
            os.replace(path, folder / _DAMAGED)  # a later save must not put it in the place of the good one
        elif loaded["fingerprint"] != fingerprint:
            raise BadInput(
                f"{path} was made by another configuration",
                expected=f"fingerprint {fingerprint}",
                got=loaded["fingerprint"],
                do="go back to the settings it was made with, or train in another folder, or delete this one",
            )
        else:
            return loaded["state"]
    if existing:
        raise BadInput(
            f"no checkpoint in {folder} can be read",
            expected="a whole file",
            got=f"damaged ones only, set aside as {_DAMAGED}",
            do="run again: training begins anew",
        )
    return None


def _read_if_whole(path: Path) -> dict | None:
    """The state in the file, or None when its bytes are not those written."""
    data = path.read_bytes()
    if hashlib.sha256(memoryview(data)[_DIGEST_BYTES:]).digest() != data[:_DIGEST_BYTES]:
        return None
    return torch.load(io.BytesIO(memoryview(data)[_DIGEST_BYTES:]), map_location="cpu", weights_only=True)

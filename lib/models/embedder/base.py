"""Tokens: what a frozen embedder says of windows, and the names under which its parts are asked for."""

import re
from dataclasses import dataclass

import numpy as np

BLOCK = "block:"  # what the outputs and inputs that hold a block's means are called, before the block's own name
_SCOPE = re.compile(r"(?<![A-Za-z0-9])(MBConv_\d+|stage\d+_ds\d+|layer\d+|BLOCK_\d+-\d+)")


@dataclass(frozen=True, eq=False)
class RawTokens:
    """What a frozen model says of some windows, in its own labels."""

    embedding: np.ndarray  # (rows, size) float32
    logits: np.ndarray  # (rows, labels) float32
    blocks: dict[str, np.ndarray]  # name -> (rows, channels) float32: means over time and frequency


@dataclass(frozen=True, eq=False)
class Tokens:
    """The same in the project's classes."""

    embedding: np.ndarray  # (rows, size) float32
    logits: np.ndarray  # (rows, classes) float32; label_map.FLAT_LOGIT where no label stands for the class
    blocks: dict[str, np.ndarray]

    def named(self) -> dict[str, np.ndarray]:
        """Every (rows, width) part under the name by which heads ask for it: embedding, logits, block:<name>."""
        blocks = {BLOCK + name: means for name, means in self.blocks.items()}
        return {"embedding": self.embedding, "logits": self.logits, **blocks}


def block_of(tensor: str) -> str | None:
    """The block in whose scope a tensor or node lies, by its name: "…/MBConv_24/…" is in "MBConv_24"."""
    found = _SCOPE.search(tensor)
    return found[1] if found else None

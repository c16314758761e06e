"""The number of soundscapes scored at once: half as many when memory is short, more again when it was not."""

from pathlib import Path

_CALM = 16  # soundscapes without trouble, after which twice as many are tried; more after each further trouble


class Workers:
    """`now` at once, at most `most`; a file that ran out of memory gets a second, final attempt."""

    def __init__(self, most: int):
        self.most = self.now = most
        self._tried: set[Path] = set()
        self._pending: set[Path] = set()
        self._calm, self._needed = 0, _CALM // 2

    def is_final(self, file: Path) -> bool:
        """True for a file that ran out of memory once."""
        return file in self._tried

    def halve(self, file: Path) -> bool:
        """Note a file that ran out of memory; True if fewer are scored at once from here on.

        Those that run out at the same time halve once.
        """
        first = not self._pending and self.now > 1
        if first:
            self.now //= 2
            self._calm, self._needed = 0, 2 * self._needed
        self._tried.add(file)
        self._pending.add(file)
        return first

    def done(self, file: Path) -> None:
        """Note a file that ended; after enough of them without trouble, twice as many are scored at once."""
        self._pending.discard(file)
        self._calm += 1
        if self.now < self.most and not self._pending and self._calm >= self._needed:
            self.now, self._calm = min(self.most, 2 * self.now), 0

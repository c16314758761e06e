"""The sound files of a competition folder. Hidden ones (`._x.ogg` of macOS, `.nfs…`) are no part of it."""

from collections.abc import Iterable
from pathlib import Path


def clip_files(competition: Path) -> list[Path]:
    """The focal clips, in order."""
    return visible(competition.glob("train_audio/*/*"))


def soundscape_files(competition: Path, part: str) -> list[Path]:
    """The soundscapes of `part` (train, test, or * for both), in order."""
    return visible(competition.glob(f"{part}_soundscapes/*.ogg"))


def visible(paths: Iterable[Path]) -> list[Path]:
    """The paths that are not hidden, in order."""
    return sorted(path for path in paths if not path.name.startswith("."))

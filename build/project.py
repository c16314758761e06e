"""The project's root folder, and how paths are printed."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def display_path(path: Path) -> str:
    """The path as printed: relative to the project where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)

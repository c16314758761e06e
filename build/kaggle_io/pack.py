"""Sealed folders as archives for a dataset: one .zip a folder, the same bytes for the same files."""

import zipfile
from pathlib import Path

from build.kernels import metadata
from lib.blend.recipe import load_recipes
from lib.core import fingerprint
from lib.core.errors import BadInput, shortened
from lib.core.paths import find_one, folders_below, manifest_kind
from lib.core.records import check_seal, write_json

KINDS = ("prepared", "embedder", "member", "recipes")


def pack_weights(runs: Path, folder: Path) -> list[Path]:
    """The archives, now in `folder` beside the dataset's metadata, of every sealed folder below `runs`."""
    sealed = sealed_folders(runs)
    _check_recipes(find_one("recipes", str(runs)), {name: check_seal(made) for name, made in sealed.items()})
    folder.mkdir(parents=True, exist_ok=True)
    archives = [write_archive(made, folder / f"{name}.zip") for name, made in sorted(sealed.items())]
    for stranger in set(folder.iterdir()) - set(archives):
        stranger.unlink()  # everything in the folder becomes part of the dataset
    write_json(folder / "dataset-metadata.json", metadata.of_dataset(metadata.WEIGHTS))
    return archives


def write_archive(sealed: Path, archive: Path) -> Path:
    """The archive of a folder, its name inside too, so that it unpacks to one folder whoever unpacks it.

    A file with the right bytes already is left alone: an interrupted upload is continued only for the same time stamp.
    """
    aside = archive.with_name(f".{archive.name}")
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as inside:  # stored: compressors differ between versions
        for path in sorted(path for path in sealed.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{sealed.name}/{path.relative_to(sealed).as_posix()}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.file_size = 0o644 << 16, path.stat().st_size
            with path.open("rb") as source, inside.open(entry, "w") as copy:
                while block := source.read(1 << 20):
                    copy.write(block)
    if archive.is_file() and fingerprint.of_file(archive) == fingerprint.of_file(aside):
        aside.unlink()
    else:
        aside.replace(archive)
    return archive


def sealed_folders(runs: Path) -> dict[str, Path]:
    """Every sealed folder below `runs` by its name; two different ones of one name are an error."""
    sealed: dict[str, Path] = {}
    for made in (folder for folder in folders_below(runs, depth=6) if manifest_kind(folder) in KINDS):
        twin = sealed.setdefault(made.name, made)
        if (twin / "manifest.json").read_bytes() != (made / "manifest.json").read_bytes():
            raise BadInput(
                f"two different folders are called {made.name}",
                expected="one name for one thing: they become one dataset",
                got=f"{twin} and {made}",
                do="remove the one that you do not want to ship, or give --runs",
            )
    return sealed


def _check_recipes(recipes: Path, seals: dict[str, str]) -> None:
    """Refuse recipes whose members are not the very ones that would travel with them: 06 would refuse them there."""
    for recipe in load_recipes(recipes):
        if wrong := [member.name for member in recipe.members if seals.get(member.name) != member.manifest]:
            raise BadInput(
                f"recipe {recipe.name} was made with other members than those at hand",
                expected=", ".join(f"{m.name} {m.manifest}" for m in recipe.members if m.name in wrong),
                got=shortened(f"{member} {seals.get(member, 'absent')}" for member in wrong),
                do="run 05 again on these members, then ship",
            )

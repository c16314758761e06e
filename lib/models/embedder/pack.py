"""Packing a frozen model: a copy that tells of its blocks, its labels, and which classes they stand for, sealed."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.competition.row_ids import WINDOW_SAMPLES
from lib.core import fingerprint
from lib.core.errors import BadInput, shortened
from lib.core.records import seal, to_json, write_json
from lib.models.embedder.base import BLOCK
from lib.models.embedder.embedder_card import LABELS, EmbedderCard
from lib.models.embedder.frozen_files import find_labels, read_labels
from lib.models.embedder.labels import LabelMap
from lib.models.embedder.open import open_frozen
from lib.models.embedder.tap import list_blocks, tap


def tappable(source: Path) -> tuple[str, ...]:
    """The blocks that a model's file can be made to tell of, in their order."""
    if source.suffix == ".onnx":
        return tuple(block.name for block in list_blocks(source))
    return open_frozen(source).blocks


def pack_embedder(
    source: Path,
    labels: Path | None,
    label_map: LabelMap,
    classes: ClassList,
    folder: Path,
    *,
    blocks: Sequence[str] = (),
) -> EmbedderCard:
    """The card of the embedder that the folder then is; `labels` is the model's table, None the one beside it."""
    names = read_labels(labels or find_labels(source))
    _check_map(label_map, classes, names)
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"model{source.suffix}"
    for old in folder.glob("model.*"):
        old.unlink()
    if blocks and source.suffix == ".onnx":
        tap(source, tuple(blocks), model)
    else:
        shutil.copyfile(source, model)
    with (folder / LABELS).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("label",), *((name,) for name in names)])
    frozen = open_frozen(model, folder / LABELS)
    if unknown := [name for name in blocks if name not in frozen.blocks]:
        raise BadInput(f"{source} has no such blocks", expected=f"some of {', '.join(frozen.blocks) or 'none'}",
                       got=shortened(unknown), do="choose among them")  # fmt: skip
    said = frozen.hear(np.zeros((1, WINDOW_SAMPLES), dtype=np.float32), blocks)
    widths = {BLOCK + name: said.blocks[name].shape[1] for name in blocks}
    card = EmbedderCard(
        name=folder.name,
        file=model.name,
        source=fingerprint.of_file(source),
        class_hash=classes.hash,
        widths={"embedding": frozen.embedding_size, "logits": len(classes), **widths},
        columns=[list(columns) for columns in label_map.columns],
        how=list(label_map.how),
    )
    write_json(folder / "embedder.json", to_json(card))
    seal(folder, "embedder")
    return card


def _check_map(label_map: LabelMap, classes: ClassList, names: tuple[str, ...]) -> None:
    """Refuse a map that was made for other classes or of another table."""
    if label_map.labels != classes.labels or label_map.width != len(names):
        raise BadInput("the labels were mapped for another model or other classes",
                       expected=f"{len(classes)} classes in their order, {len(names)} labels",
                       got=f"{len(label_map.labels)} classes, {label_map.width} labels",
                       do="map this model's own labels")  # fmt: skip

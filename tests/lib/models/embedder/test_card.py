"""An embedder's card holds the classes for which it has a label of their own."""

from lib.competition.classes import ClassList
from lib.core.records import to_json, write_json
from lib.models.embedder.card import EmbedderCard, classes_with_own_label


def test_own_labels_are_names_and_synonyms_of_any_embedder(tmp_path):
    classes = ClassList(tuple("abcd"))
    for name, matched_by in (("one", ["name", "genus", "none", "none"]), ("two", ["none", "none", "synonym", "genus"])):
        card = EmbedderCard(name, "model.onnx", "x", classes.hash, {"embedding": 3}, [[0], [1], [2], [3]], matched_by)
        write_json(tmp_path / name / "embedder.json", to_json(card))
    assert classes_with_own_label([tmp_path / "one", tmp_path / "two"], classes) == {"a", "c"}
    assert classes_with_own_label([], classes) == frozenset()

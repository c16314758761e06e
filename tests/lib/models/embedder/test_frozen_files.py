"""A frozen model's file is found by path or name, its table lies beside it, and tables of all forms are read."""

import pytest

from lib.core import paths as places
from lib.core.errors import BadInput
from lib.models.embedder.base import find_embedder, find_labels, read_labels
from tests.support.standin import write_standin


def test_an_embedder_is_found_by_path_or_among_what_is_attached(tmp_path, monkeypatch):
    attached = tmp_path / "input" / "models" / "someone" / "perch"
    attached.mkdir(parents=True)
    write_standin(attached / "perch_v2.onnx")
    monkeypatch.setenv(places.KAGGLE_VARIABLE, str(tmp_path))
    assert find_embedder(str(attached / "perch_v2.onnx")) == attached / "perch_v2.onnx"
    assert find_embedder("perch_v2.onnx") == attached / "perch_v2.onnx"
    with pytest.raises(BadInput, match="make fetch WHAT=perch"):
        find_embedder("owl.onnx")


def test_the_table_is_labels_csv_else_the_one_named_like_the_model_else_one_with_label_in_its_name(tmp_path):
    model = tmp_path / "birdnet.tflite"
    with pytest.raises(BadInput, match="none in"):
        find_labels(model)
    for name in ("readme.txt", "BirdNET_Labels.txt", "birdnet_config.json"):
        (tmp_path / name).touch()
    assert find_labels(model).name == "BirdNET_Labels.txt"
    (tmp_path / "birdnet_classes.txt").touch()
    assert find_labels(model).name == "birdnet_classes.txt"
    (tmp_path / "birdnet_more.csv").touch()
    with pytest.raises(BadInput, match=r"birdnet_classes\.txt.*birdnet_more\.csv"):
        find_labels(model)
    (tmp_path / "labels.csv").touch()
    assert find_labels(model).name == "labels.csv"


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("l.csv", "inat2024_fsd50k\nTyto alba\nRain\n", ("Tyto alba", "Rain")),
        ("l.csv", "\ufeffscientific_name,n\n Tyto alba,1\n", ("Tyto alba",)),
        ("l.csv", 'index,mid,display_name\n0,/m/1,"Child, kid"\n1,/m/2,Owl\n', ("Child, kid", "Owl")),
        ("l.csv", "scientific_name,inat2024_fsd50k\nx,Tyto alba\n", ("Tyto alba",)),
        ("l.txt", "Tyto alba_Barn Owl\nDog_Dog", ("Tyto alba", "Dog")),
    ],
)
def test_names_are_read_from_each_form_of_table(tmp_path, name, text, labels):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / name) == labels


def test_a_table_of_unknown_columns_is_refused(tmp_path):
    (tmp_path / "l.csv").write_text("code,english\ntytalb,Barn Owl\n")
    with pytest.raises(BadInput, match="columns code, english"):
        read_labels(tmp_path / "l.csv")

"""Kernel metadata that would go wrong silently on Kaggle is refused here, all mistakes at once."""

import json

import pytest

from build.kernels import metadata
from build.project import ROOT
from lib.core.errors import BadInput
from tests.support.toytree import SUBMISSION, allowed, kernel, write

PREP = "pantanal-01-data-prep"


def bundle(root, **changes):
    """Two kernels, the second a submission with these changes."""
    chain = {"kernel_sources": [f"OWNER/{PREP}"]} | changes
    return write(root, kernel(PREP) | kernel(SUBMISSION, **chain) | allowed())


def refusal(root) -> str:
    with pytest.raises(BadInput) as caught:
        metadata.load_metadata(root)
    return str(caught.value)


def test_the_bundle_s_own_metadata_passes_and_every_kernel_reads_only_earlier_ones():
    found = metadata.load_metadata(ROOT)
    assert len(found) == 6
    for name, data in found.items():
        assert all(source.partition("/")[2] < name for source in data["kernel_sources"])
        assert data["is_private"] is True
        assert data["enable_internet"] is False


def test_owner_is_put_into_id_and_the_bundle_s_own_sources_and_nowhere_else(tmp_path):
    data = metadata.load_metadata(bundle(tmp_path))[SUBMISSION]
    owned = metadata.for_owner(data | {"dataset_sources": ["OWNER/pantanal-wheels", "me/wheels"]}, "alice")
    assert owned["id"] == f"alice/{SUBMISSION}"
    assert owned["kernel_sources"] == [f"alice/{PREP}"]
    assert owned["dataset_sources"] == ["alice/pantanal-wheels", "me/wheels"]
    assert owned["competition_sources"] == ["birdclef-2026"]
    assert "OWNER" not in json.dumps(owned)


@pytest.mark.parametrize("owner", ["OWNER", "", "a b", "me/you"])
def test_an_owner_that_is_no_user_name_is_refused(owner, tmp_path):
    with pytest.raises(BadInput, match="user name"):
        metadata.for_owner(metadata.load_metadata(bundle(tmp_path))[SUBMISSION], owner)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"enable_intenet": False}, "unknown key 'enable_intenet'"),
        ({"id_no": 7}, "unknown key 'id_no'"),
        ({"is_private": None}, "'is_private' is missing"),
        ({"enable_internet": None}, "'enable_internet' is missing"),
        ({"is_private": 1}, "'is_private' must be bool, got 1"),
        ({"is_private": "true"}, "'is_private' must be bool"),
        ({"keywords": "audio"}, "'keywords' must be a list of strings"),
        ({"dataset_sources": [1]}, "'dataset_sources' must be a list of strings"),
        ({"title": "Pantanal submission"}, "'title' must turn into 'pantanal-06-submission'"),
        ({"id": "alice/pantanal-06-submission"}, "'id' must be 'OWNER/pantanal-06-submission'"),
        ({"id": "OWNER/other"}, "'id' must be"),
        ({"code_file": "06.ipynb"}, "'code_file' must be 'pantanal-06-submission.ipynb'"),
        ({"language": "r"}, "'language' must be one of python"),
        ({"kernel_type": "script"}, "'kernel_type' must be one of notebook"),
        ({"docker_image": "python:3"}, "'docker_image' must be"),
        ({"docker_image_pinning_type": "newest"}, "must be one of original, latest"),
        ({"kernel_sources": ["OWNER/pantanal-09-nowhere"]}, "'OWNER/pantanal-09-nowhere' must be"),
        ({"kernel_sources": [f"OWNER/{SUBMISSION}"]}, f"must be OWNER/{PREP}, or listed under kernels"),
        ({"kernel_sources": [f"OWNER/{PREP}"] * 2}, "listed twice"),
        ({"competition_sources": ["birdclef-2025"]}, "listed under competitions"),
        (
            {"dataset_sources": ["me/wheels"]},
            "must be OWNER/pantanal-wheels, OWNER/pantanal-weights, or listed under datasets",
        ),
        ({"dataset_sources": ["OWNER/pantanal-weight"]}, "'OWNER/pantanal-weight' must be OWNER/pantanal-wheels"),
        ({"model_sources": ["google/perch"]}, "listed under models"),
        ({"enable_gpu": True}, "'enable_gpu' must be false in the submission kernel"),
        ({"enable_tpu": True}, "'enable_tpu' must be false"),
        ({"enable_internet": True}, "'enable_internet' must be false"),
        ({"machine_shape": "NvidiaTeslaT4"}, "'machine_shape' must be absent"),
    ],
)
def test_each_mistake_is_refused_by_name(tmp_path, changes, expected):
    message = refusal(bundle(tmp_path, **changes))
    assert expected in message
    assert message.startswith("1 mistakes")


def test_all_mistakes_of_all_kernels_come_in_one_message(tmp_path):
    root = write(bundle(tmp_path, enable_gpu=True, code_file="x.ipynb"), kernel(PREP, language="r"))
    message = refusal(root)
    assert message.startswith("3 mistakes")
    assert f"{PREP}/kernel-metadata.json: 'language'" in message


@pytest.mark.parametrize("slug", [metadata.WHEELS, metadata.WEIGHTS])
def test_the_bundle_s_own_datasets_may_be_attached_and_describe_themselves(tmp_path, slug):
    root = bundle(tmp_path, dataset_sources=[f"OWNER/{slug}"])
    assert metadata.load_metadata(root)[SUBMISSION]["dataset_sources"] == [f"OWNER/{slug}"]
    described = metadata.dataset_metadata(slug)
    assert described["id"] == f"OWNER/{slug}"
    assert metadata.slugify(described["title"]) == slug
    assert 6 <= len(slug) <= 50


def test_from_the_dataset_only_kernels_that_read_members_differ_and_it_is_attached_once(tmp_path):
    data = metadata.load_metadata(bundle(tmp_path, dataset_sources=["OWNER/pantanal-weights"]))
    assert metadata.with_chain(data[SUBMISSION], "kernels") == data[SUBMISSION]
    assert metadata.with_chain(data[PREP], "dataset") == data[PREP]
    changed = metadata.with_chain(data[SUBMISSION], "dataset")
    assert changed == data[SUBMISSION] | {"kernel_sources": []}


def test_what_is_listed_as_allowed_may_be_attached(tmp_path):
    root = write(bundle(tmp_path, dataset_sources=["me/wheels"], machine_shape="None"), allowed(datasets=["me/wheels"]))
    assert metadata.load_metadata(root)[SUBMISSION]["dataset_sources"] == ["me/wheels"]


def test_kernels_that_read_each_other_in_a_circle_are_refused(tmp_path):
    root = write(bundle(tmp_path), kernel(PREP, kernel_sources=[f"OWNER/{SUBMISSION}"]))
    assert "go in a circle" in refusal(root)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({f"kernel-metadata/{PREP}/kernel-metadata.json": "{"}, "not valid JSON"),
        ({f"kernel-metadata/{PREP}/kernel-metadata.json": '{"id": "a", "id": "b"}'}, "key given twice: id"),
        ({f"kernel-metadata/{PREP}/kernel-metadata.json": "[]"}, "expected an object, got list"),
        ({"kernel-metadata/allowed-sources.json": '{"datasets": []}'}, "expected lists of strings under competitions"),
        (kernel("x01"), "a slug of 5 or more"),
        ({"kernel-metadata/pantanal-07-empty/note.txt": ""}, "pantanal-07-empty/kernel-metadata.json: missing"),
    ],
)
def test_files_that_are_not_metadata_are_refused(tmp_path, files, expected):
    assert expected in refusal(write(bundle(tmp_path), files))


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Pantanal 01 data prep", "pantanal-01-data-prep"),
        ("  Bird's  CLEF_2026 + (v2)!", "bird-s-clef-2026-v2"),
        ("1,000 birds, 2 bats", "1000-birds-2-bats"),
        ("a -- b &amp; c", "a-b-c"),
    ],
)
def test_slugs_are_those_of_python_slugify(title, slug):
    assert metadata.slugify(title) == slug

"""A file of embeddings returns what half precision can hold, and is rejected when any of its bytes is wrong."""

import resource

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.learn.cache.embedding_file import UnstorableEmbeddings, read_embeddings, to_half_precision, write_embeddings
from lib.models.embedder.labels import FLAT_LOGIT

EMBEDDINGS = {
    "embedding": np.array([[1.5, -0.25], [65504.0, 2.0**-14]], dtype=np.float32),
    "logits": np.array([[FLAT_LOGIT, 0.0, 3.0], [FLAT_LOGIT, 7.0, 1.0]], dtype=np.float32),
}


@pytest.fixture
def written(tmp_path):
    """A file of two rows of five values."""
    path = tmp_path / "ab" / "x.f16"
    write_embeddings(path, *to_half_precision(EMBEDDINGS))
    return path


def test_what_half_precision_holds_comes_back_as_it_was_and_flat_logits_are_among_it(written):
    rows, rounding_error = read_embeddings(written, 5)
    assert rows.dtype == np.float16
    np.testing.assert_array_equal(rows, np.concatenate(list(EMBEDDINGS.values()), axis=1))
    assert rounding_error == 0


def test_the_rounding_error_is_the_largest_change_as_a_share_of_the_largest_value_of_its_own_row_and_name(tmp_path):
    embeddings = {"a": np.array([[1 + 2**-12, 4], [0, 64]], np.float32), "b": np.array([[1000, 1], [2, 3]], np.float32)}
    rows, rounding_error = to_half_precision(embeddings)  # 1 + 2**-12 lies between 1 and the next half, 1 + 2**-10
    assert rows[0].tolist() == [1, 4, 1000, 1]
    assert rounding_error == 2**-14
    write_embeddings(tmp_path / "x.f16", rows, rounding_error)
    assert read_embeddings(tmp_path / "x.f16", 4)[1] == 2**-14


@pytest.mark.parametrize(("value", "what"), [(np.nan, "not finite"), (np.inf, "not finite"), (-7e4, "7e+04")])
def test_what_half_precision_cannot_hold_is_refused_by_name(value, what):
    with pytest.raises(UnstorableEmbeddings, match="logits") as error:
        to_half_precision(
            {"embedding": np.ones((1, 2), np.float32), "logits": np.array([[0, value]], dtype=np.float32)}
        )
    assert what in str(error.value)


def test_a_file_that_lacks_its_end_or_has_a_changed_byte_is_not_read(written):
    whole = written.read_bytes()
    for length in range(len(whole)):
        written.write_bytes(whole[:length])
        assert read_embeddings(written, 5) is None
    for place in range(len(whole)):
        written.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_embeddings(written, 5) is None
    written.write_bytes(whole + b"\0")
    assert read_embeddings(written, 5) is None
    written.write_bytes(whole)
    assert read_embeddings(written, 4) is None
    assert read_embeddings(written.with_name("absent"), 5) is None
    assert read_embeddings(written, 5) is not None


def test_a_disk_that_takes_no_more_is_an_error_and_nothing_half_stays(tmp_path):
    rows, rounding_error = to_half_precision({"embedding": np.ones((1000, 100), np.float32)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    try:
        with pytest.raises(BadInput, match="cannot be written"):
            write_embeddings(tmp_path / "x.f16", rows, rounding_error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())

"""The competition's number of soundscapes is made of the miniature's, each under a name of its own."""

import pandas as pd
import pytest

from build import load_test
from lib.core.errors import BadInput
from lib.submit.rows import required_rows


def test_soundscapes_repeat_under_names_of_their_own_and_the_sample_has_rows_for_each(rerun, tmp_path):
    own = len(list((rerun / "test_soundscapes").glob("*.ogg")))
    folder = load_test.repeat_soundscapes(rerun, tmp_path / "long", own + 3)
    required = required_rows(folder)
    assert (required.mode, len(required.soundscapes), len(required.row_ids)) == ("rerun", own + 3, 12 * (own + 3))
    assert required.alarms == ()
    bytes_of = {path.resolve() for path in required.soundscapes}
    assert len(bytes_of) == own
    columns = [pd.read_csv(one / "sample_submission.csv", nrows=0).columns.tolist() for one in (folder, rerun)]
    assert columns[0] == columns[1]


def test_nothing_to_repeat_is_an_error_with_what_to_do(public, tmp_path, capsys):
    with pytest.raises(BadInput, match="make demo"):
        load_test.repeat_soundscapes(public, tmp_path / "long", 3)
    assert load_test.main(["--competition", str(public)]) == 2
    assert "make demo" in capsys.readouterr().err

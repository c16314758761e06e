"""An error stays readable, whatever it quotes."""

import pickle

from lib.core.errors import BadInput


def test_a_part_of_any_length_is_cut_and_the_error_survives_another_process():
    error = BadInput("a cell", expected="a number", got="-" * 20_000, do="fix the cell")
    assert len(f"{error}") < 2200
    again = pickle.loads(pickle.dumps(error))
    assert (f"{again}", again.got) == (f"{error}", error.got)

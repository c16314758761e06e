"""Inner splits keep recording groups whole, and a lesson of one group is not split."""

import numpy as np

from lib.learn.head.data import held_out, inner_folds
from tests.support.plantedlesson import soundscapes


def test_the_files_of_a_night_stay_together_and_every_fold_has_some():
    heard = soundscapes(24, seed=0)
    folds = inner_folds(heard, 4)
    assert sorted(set(folds)) == [0, 1, 2, 3]
    for group in set(heard.groups):
        assert len(set(folds[[of == group for of in heard.groups]])) == 1


def test_the_next_seed_holds_out_another_part_until_all_had_their_turn():
    heard = soundscapes(24, seed=0)
    assert (np.sum([held_out(heard, 4, seed) for seed in (7, 8, 9, 10)], axis=0) == 1).all()


def test_of_a_single_group_nothing_is_held_out_and_of_no_file_neither():
    heard = soundscapes(24, seed=0)
    night = heard.only(np.array([0, 1]))
    assert len(set(night.groups)) == 1
    assert not held_out(night, 4, seed=3).any()
    assert held_out(heard.only(np.zeros(24, dtype=bool)), 4, seed=3).shape == (0,)

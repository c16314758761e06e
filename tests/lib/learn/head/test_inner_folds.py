"""Inner splits keep recording groups whole, and data of one group are not split."""

import numpy as np

from lib.learn.head.data import inner_folds, validation_mask
from tests.support.plantedsignals import soundscapes


def test_the_files_of_a_night_stay_together_and_every_fold_has_some():
    sequences = soundscapes(24, seed=0)
    folds = inner_folds(sequences, 4)
    assert sorted(set(folds)) == [0, 1, 2, 3]
    for group in set(sequences.groups):
        assert len(set(folds[[of == group for of in sequences.groups]])) == 1


def test_the_next_seed_holds_out_another_part_until_all_had_their_turn():
    sequences = soundscapes(24, seed=0)
    assert (np.sum([validation_mask(sequences, 4, seed) for seed in (7, 8, 9, 10)], axis=0) == 1).all()


def test_of_a_single_group_nothing_is_held_out_and_of_no_file_neither():
    sequences = soundscapes(24, seed=0)
    night = sequences.subset(np.array([0, 1]))
    assert len(set(night.groups)) == 1
    assert not validation_mask(night, 4, seed=3).any()
    assert validation_mask(sequences.subset(np.zeros(24, dtype=bool)), 4, seed=3).shape == (0,)

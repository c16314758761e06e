"""A batch moves as a whole, and its random numbers belong to its run and number."""

from dataclasses import replace

import torch

from lib.learn.network.dataset import Batch, batch_generator


def test_all_tensors_of_a_batch_move_and_those_that_are_not_there_stay_away():
    cells = torch.ones(2, 3)
    batch = Batch(torch.zeros(2, 4), cells, cells, torch.tensor([True, False]), background=torch.zeros(2, 4))
    moved = batch.to("meta")
    present = (moved.audio, moved.targets, moved.weights, moved.soundscape, moved.background)
    assert {tensor.device.type for tensor in present} == {"meta"}
    assert replace(batch, background=None).to("meta").background is None


def test_random_numbers_are_the_same_for_seed_and_number_and_others_for_others():
    def numbers(seed, number):
        return torch.rand(4, generator=batch_generator(seed, number, "cpu")).tolist()

    assert numbers(3, 5) == numbers(3, 5)
    assert len({tuple(numbers(*key)) for key in ((3, 5), (5, 3), (3, 6), (4, 5))}) == 4

"""The pace: clips a second, the share of waiting, the last score and the time left, on a clock that the test turns."""

import pytest

from lib.learn.network.pace import Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_lap_counts_clips_and_waiting():
    clock = Clock()
    pace = Pace("fold0", 0, 10, clock)

    def batches():
        clock.now += 1
        yield "batch"

    assert pace.next_batch(batches()) == "batch"
    clock.now += 3
    pace.step_done(8, 0.5)
    assert pace.lap() == {"seconds": 4, "clips_per_s": 2, "waiting_share": 0.25}
    pace.end_lap("done")
    clock.now += 1
    assert pace.lap() == {"seconds": 1, "clips_per_s": 0, "waiting_share": 0}


def test_the_line_at_intervals_has_the_time_left_since_it_went_on(capsys):
    clock = Clock()
    pace = Pace("fold0", 4, 10, clock)
    for loss in (0.5, None):
        clock.now += 40
        pace.step_done(8, loss)
        pace.scores = {"soundscapes": 0.8123, "clips": None}
    first, second = capsys.readouterr().out.splitlines()
    assert first == "fold0: step 5/10, 3 min 20 s left, loss 0.5000, 0.2 clips/s, 0% waiting for data"
    assert "left, loss not finite, soundscapes 0.8123, clips –, 0.2 clips/s" in second


def test_between_intervals_it_is_silent(capsys):
    clock = Clock()
    pace = Pace("fold0", 0, 10, clock)
    clock.now += 1
    pace.step_done(8, 0.5)
    assert capsys.readouterr().out == ""


def test_an_end_of_the_batches_is_not_hidden():
    with pytest.raises(StopIteration):
        Pace("fold0", 0, 10, Clock()).next_batch(iter(()))

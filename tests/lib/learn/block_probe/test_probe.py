"""The block probe finds a planted best block, names it best only when it is, and no recording votes for itself."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from lib.core.errors import BadInput
from lib.learn.block_probe.probe import block_probe
from lib.models.embedder.pack import expose_block_outputs, list_blocks

CHANNELS, SAMPLES, BLOCKS = 16, 64, 6


def clouds(species: int, clips: int, apart: float, seed: int = 0, channels: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """(species x clips, channels) vectors about a random place of their species, and the species' names."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"s{number:02d}" for number in range(species)], clips)
    places = np.repeat(rng.normal(size=(species, channels)), clips, axis=0)
    return (apart * places + rng.normal(size=places.shape)).astype(np.float32), names


def probe(vectors, names, recordings=None, **settings):
    """The report; every clip is a recording of its own unless `recordings` is given."""
    recordings = np.arange(len(names)) if recordings is None else recordings
    return block_probe(vectors, names, recordings, **{"seed": 0, "draws": 4, **settings})


def accuracies(report) -> dict[str, float]:
    return dict(zip(report.blocks.block, report.blocks.accuracy, strict=True))


def network(path, planted: int) -> None:
    """Six blocks of 1x1 convolutions over zero-mean noise, whose loudness by channel is the species' code.

    Means are nothing until the planted block takes the Relu; each later block keeps fewer channels, and the last one.
    """
    rng = np.random.default_rng(planted)
    nodes = [helper.make_node("Reshape", ["inputs", "shape"], ["spectrogram"], name="spectrogram")]
    constants = {"shape": np.array([-1, CHANNELS, 1, SAMPLES])}
    last, width = "spectrogram", CHANNELS
    for block in range(BLOCKS):
        scope = f"net/MBConv_{block}"
        wider = width if block <= planted else max(1, 4 - (block - planted))
        kernel = np.eye(CHANNELS)[rng.permutation(CHANNELS)] if block <= planted else rng.normal(size=(wider, width))
        constants[f"{scope}/kernel"] = kernel[:, :, None, None].astype(np.float32)
        nodes.append(helper.make_node("Conv", [last, f"{scope}/kernel"], [f"{scope}/Conv"], name=f"{scope}/Conv"))
        last, width = f"{scope}/Conv", wider
        if block == planted:
            nodes.append(helper.make_node("Relu", [last], [f"{scope}/Relu"], name=f"{scope}/Relu"))
            last = f"{scope}/Relu"
    graph = helper.make_graph(
        [*nodes, helper.make_node("Identity", [last], ["label"])],
        "planted",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["rows", CHANNELS * SAMPLES])],
        [helper.make_tensor_value_info("label", TensorProto.FLOAT, ["rows", None, 1, SAMPLES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


@pytest.mark.parametrize("planted", [2, 3, 4])
def test_the_block_that_carries_the_species_is_found_and_separable_from_every_other(tmp_path, planted):
    rng = np.random.default_rng(7)
    names = np.repeat([f"s{number:02d}" for number in range(16)], 8)
    code = np.repeat(rng.uniform(0.5, 2.0, size=(16, CHANNELS)), 8, axis=0)
    loudness = code * rng.lognormal(0, 0.15, size=code.shape)
    waves = (loudness[:, :, None] * rng.normal(size=(len(names), CHANNELS, SAMPLES))).astype(np.float32)
    network(tmp_path / "plain.onnx", planted)
    blocks = tuple(block.name for block in list_blocks(tmp_path / "plain.onnx"))
    assert blocks == tuple(f"MBConv_{number}" for number in range(BLOCKS))
    expose_block_outputs(tmp_path / "plain.onnx", blocks, tmp_path / "exposed.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "exposed.onnx", providers=["CPUExecutionProvider"])
    outputs = [f"block:{block}" for block in blocks]
    vectors = dict(zip(blocks, session.run(outputs, {"inputs": waves.reshape(len(names), -1)}), strict=True))
    report = probe(vectors, names)
    assert (report.best, report.rivals) == (f"MBConv_{planted}", ())
    table = report.blocks.set_index("block")
    others = table.drop(report.best)
    assert (others.behind_low > 0).all()
    assert table.low[report.best] > others.high.max()
    assert others.accuracy.iloc[:planted].max() < table.accuracy[report.best] / 2  # nothing before it


def test_votes_are_those_of_sklearns_nearest_clips_with_ties_to_the_nearest():
    vectors, names = clouds(12, 6, apart=1.0)
    vectors *= 10.0 ** np.arange(-4, 4)  # channels of very different scale
    near = NearestNeighbors(n_neighbors=6, metric="cosine").fit(StandardScaler().fit_transform(vectors))
    others = near.kneighbors(StandardScaler().fit_transform(vectors))[1][:, 1:]
    voted = [Counter(names[row]).most_common(1)[0][0] for row in others]  # of equals the first counted
    ours = accuracies(probe({"a": vectors}, names, draws=1))["a"]
    assert ours == pytest.approx(np.mean(np.array(voted) == names))
    assert 0.3 < ours < 0.95
    one = probe({"a": vectors}, names, draws=1, neighbours=1)
    assert accuracies(one)["a"] == pytest.approx(np.mean(names[others[:, 0]] == names))


def test_clips_of_one_recording_never_vote_for_each_other():
    rng = np.random.default_rng(1)
    names = np.repeat([f"s{number:02d}" for number in range(10)], 10)
    recordings = np.arange(100) // 5  # two recordings a species, and species unrelated to where they lie
    vectors = {"room": rng.normal(size=(20, 8))[recordings] + 0.01 * rng.normal(size=(100, 8))}
    assert accuracies(probe(vectors, names))["room"] == 1.0
    assert accuracies(probe(vectors, names, recordings))["room"] < 0.25


def test_every_species_counts_the_same():
    many = np.stack([np.ones(12), np.linspace(-0.01, 0.01, 12)], axis=1)
    few, more = [[0.9, 0.45], [0.9, -0.45]], [[-1, -0.05], [-1, 0], [-1, 0.05]]  # few: on either side of the many
    names = np.array(["many"] * 12 + ["few"] * 2 + ["more"] * 3)
    report = probe({"a": np.concatenate([many, few, more])}, names, neighbours=1)
    assert accuracies(report)["a"] == pytest.approx((1 + 0 + 1) / 3)
    assert report.clips == (2, 12)


def test_equal_blocks_are_not_separable_and_all_meet_the_same_draws():
    vectors, names = clouds(20, 10, apart=0.6)
    report = probe({"a": vectors, "copy": vectors * 3 + 1, "poor": clouds(20, 10, 0.1, seed=5)[0]}, names, n_clips=6)
    table = report.blocks.set_index("block")
    assert table.accuracy["a"] == table.accuracy["copy"]
    assert (report.best, report.rivals) == ("a", ("copy",))
    assert tuple(table.loc["copy", ["behind", "behind_low", "behind_high"]]) == (0, 0, 0)
    assert str(report).startswith("a 0.")
    assert "not separable from copy" in str(report)


def test_a_small_lead_is_significant_where_blocks_go_up_and_down_together():
    vectors, names = clouds(30, 12, apart=0.7)
    worse = vectors + 0.8 * np.random.default_rng(3).normal(size=vectors.shape)
    report = probe({"good": vectors, "worse": worse}, names, draws=10)
    good, worse = report.blocks.iloc[0], report.blocks.iloc[1]
    assert worse.high > good.low  # apart from each other, they would not be separable
    assert worse.behind_low > 0
    assert (report.best, report.rivals) == ("good", ())
    assert worse.behind_low < worse.behind == good.accuracy - worse.accuracy < worse.behind_high


def test_random_numbers_score_chance():
    noise = np.random.default_rng(2).normal(size=(800, 8))
    names = np.repeat([f"s{number:02d}" for number in range(40)], 20)
    report = probe({"noise": noise, "constant": np.ones((800, 3))}, names, n_species=10, draws=20)
    assert report.chance == pytest.approx(0.1, abs=0.015)
    assert accuracies(report)["noise"] == pytest.approx(report.chance, abs=0.03)
    assert accuracies(report)["constant"] == pytest.approx(0.1, abs=0.015)


def test_a_draw_takes_so_many_species_and_clips_anew():
    vectors, names = clouds(12, 9, apart=1.0)
    one = probe({"a": vectors}, names, n_species=5, n_clips=4, draws=1)
    assert (one.species, one.clips) == (5, (4, 4))
    assert probe({"a": vectors}, names, n_species=5, n_clips=4, draws=20).species == 12


def test_a_draw_takes_clips_of_as_many_recordings_as_there_are():
    names = np.array(["a"] * 9 + ["b"] * 9)
    recordings = np.array([0] * 8 + [1] + [2] * 8 + [3])
    vectors = {"x": np.where(names[:, None] == "a", [1.0, 0.0], [0.0, 1.0])}
    report = probe(vectors, names, recordings, n_clips=2, neighbours=1, draws=20)
    assert accuracies(report)["x"] == 1.0  # the one clip of the other recording is always there to vote


def test_species_of_one_recording_are_named_and_left_out():
    vectors, names = clouds(4, 5, apart=2.0)
    recordings = np.where(names == "s02", 100, np.arange(20))
    report = probe({"a": vectors}, names, recordings)
    assert (report.species, report.left_out) == (3, ("s02",))
    with pytest.raises(BadInput, match="too few species"):
        probe({"a": vectors}, names, names)


def test_a_seed_repeats_itself_and_another_draws_others():
    vectors, names = clouds(20, 10, apart=0.6)
    first, again, other = (probe({"a": vectors}, names, n_species=8, n_clips=5, seed=seed) for seed in (0, 0, 1))
    assert first.blocks.equals(again.blocks)
    assert first.chance == again.chance
    assert not first.blocks.equals(other.blocks)
    whole, clips = (probe({"a": vectors}, names, n_clips=5, draws=1, seed=seed) for seed in (0, 1))
    assert accuracies(whole) != accuracies(clips)  # of all species, other clips


def test_an_interval_is_students_over_species():
    right, wrong = (
        np.repeat(np.arange(10), 4),
        10 + np.tile(np.arange(4 * 5), 2),
    )  # wrong: beside another species
    names = np.repeat([f"s{number:02d}" for number in range(20)], 4)
    report = probe({"a": np.eye(30)[np.concatenate([right, wrong])]}, names, neighbours=1)
    (row,) = report.blocks.itertuples()
    student = stats.t.ppf(0.95, 19) * 0.5 / np.sqrt(19)  # half of the species always, half of them never
    assert row.accuracy == 0.5
    assert row.high - row.low == pytest.approx(2 * student, rel=0.1)
    assert row.low < 0.5 < row.high


@pytest.mark.parametrize("wrong", [np.ones((19, 3)), np.ones((20, 3, 1)), np.full((20, 3), np.nan)])
def test_blocks_that_do_not_fit_the_clips_are_refused(wrong):
    vectors, names = clouds(4, 5, apart=2.0)
    with pytest.raises(BadInput, match="b"):
        probe({"a": vectors, "b": wrong}, names)
    with pytest.raises(BadInput, match="3 recordings"):
        probe({"a": vectors}, names, np.arange(3))

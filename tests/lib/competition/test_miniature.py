"""The miniature competition has the contest's schema, all of its quirks, sound in its place, and no chance in it."""

import ast
import hashlib
import json
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from build import miniature as miniature_command
from lib.competition.miniature.calls import add_distance, band_hz, render_call, seconds, unit_loudness, vary_individual
from lib.competition.miniature.cast import make_cast
from lib.competition.miniature.clips import plan_clips
from lib.competition.miniature.make import make_miniature, read_info
from lib.competition.miniature.ogg import encode_ogg, renumber_stream
from lib.competition.miniature.plan import plan_scenes, planned_window_labels
from lib.competition.miniature.quirks import quirk_table
from lib.competition.miniature.sites import make_recordings
from lib.competition.miniature.spec import MiniatureSpec, with_settings
from lib.competition.miniature.tables import TRAIN_COLUMNS, taxonomy_table, train_table
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, parse_soundscape, row_ids
from lib.core.errors import BadInput
from lib.core.ogg_pages import page_checksum


class Made:
    """A tiny miniature on disk and its tables, read the way a careful competitor reads them."""

    def __init__(self, root: Path):
        self.root = root
        self.public, self.rerun, self.hidden = (
            root / "public/birdclef-2026",
            root / "rerun/birdclef-2026",
            root / "hidden",
        )
        self.info = read_info(root)
        self.quirks = self.info["quirks"]
        self.train = pd.read_csv(self.public / "train.csv", dtype=str, keep_default_na=False)
        self.taxonomy = pd.read_csv(self.public / "taxonomy.csv", dtype=str)
        self.labels = pd.read_csv(self.public / "train_soundscapes_labels.csv", dtype=str)
        self.sample = pd.read_csv(self.rerun / "sample_submission.csv")
        self.solution = pd.read_csv(self.hidden / "solution.csv")
        self.truth = pd.read_csv(self.hidden / "truth.csv").set_index("row_id")
        self.events = pd.read_csv(self.hidden / "events.csv", dtype={"label": str})
        self.classes = self.taxonomy["primary_label"].tolist()

    def clip(self, quirk: str) -> Path:
        return self.public / "train_audio" / self.quirks[quirk][0]


@pytest.fixture(scope="module")
def made(mini) -> Made:
    return Made(mini)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- tables ---------------------------------------------------------------------------------------------------------


def test_class_order_is_the_string_order_of_labels_and_the_sample_columns(made):
    assert made.classes == sorted(made.classes)
    for folder in (made.public, made.rerun):
        columns = pd.read_csv(folder / "sample_submission.csv", nrows=1).columns.tolist()
        assert columns == ["row_id", *made.classes]
    assert made.solution.columns.tolist() == ["row_id", *made.classes, "Usage"]


def test_taxonomy_has_five_animal_classes_and_numbers_that_pandas_would_mistake(made):
    assert set(made.taxonomy["class_name"]) == {"Aves", "Amphibia", "Insecta", "Mammalia", "Reptilia"}
    assert made.quirks["numeric_looking_label"] == ["y00678"]
    numeric = made.quirks["numeric_label"]
    assert numeric
    assert set(numeric) < set(made.classes)
    only_numeric = pd.read_csv(made.public / "taxonomy.csv", nrows=2)["primary_label"]
    assert only_numeric.dtype.kind == "i", "read without dtype=str, the first labels must turn into integers"


def test_train_table_has_the_fifteen_columns_and_names_every_clip(made):
    assert made.train.columns.tolist() == list(TRAIN_COLUMNS)
    on_disk = {str(p.relative_to(made.public / "train_audio")) for p in (made.public / "train_audio").rglob("*.ogg")}
    assert set(made.train["filename"]) == on_disk
    assert made.train["filename"].is_unique
    assert (made.train["filename"].str.split("/").str[0] == made.train["primary_label"]).all()
    assert set(made.train["collection"]) == {"XC", "iNat"}
    ratings = made.train["rating"].astype(float)
    assert (ratings[made.train["collection"] == "iNat"] == 0).all()
    assert (ratings * 2 == (ratings * 2).round()).all()
    assert ratings.max() > 3


def test_author_quirk_one_author_dominates(made):
    counts = made.train["author"].value_counts()
    assert [counts.index[0]] == made.quirks["dominant_author"]
    assert counts.iloc[0] >= 1.2 * counts.iloc[1]


def test_list_quirks_types_and_secondary_labels_are_python_literals(made):
    by_file = made.train.set_index("filename")
    assert all(by_file.loc[name, "type"] == "[]" for name in made.quirks["empty_type_list"])
    assert all(by_file.loc[name, "type"] == "['']" for name in made.quirks["empty_type_text"])
    assert made.quirks["empty_type_list"]
    assert made.quirks["empty_type_text"]
    secondary = by_file["secondary_labels"].map(ast.literal_eval)
    strangers = {name for name, labels in secondary.items() if set(labels) - set(made.classes)}
    assert strangers == set(made.quirks["unknown_secondary_label"])
    assert strangers
    assert any(set(labels) & set(made.classes) for labels in secondary)


def test_clip_counts_have_a_long_tail_and_mute_classes(made):
    counts = made.train["primary_label"].value_counts()
    assert counts[made.quirks["single_clip_label"]].eq(1).all()
    assert made.quirks["single_clip_label"]
    mute = set(made.classes) - set(counts.index)
    assert mute == set(made.quirks["label_without_clips"])
    assert set(made.quirks["sonotype"]) < mute
    assert set(made.taxonomy.set_index("primary_label").loc[sorted(mute), "class_name"]) == {"Amphibia", "Insecta"}


def test_label_rows_are_exactly_doubled_joined_and_written_as_clock_times(made):
    assert made.quirks["duplicated_label_rows"] == ["train_soundscapes_labels.csv"]
    assert (made.labels.value_counts() == 2).all()
    assert made.labels["primary_label"].str.contains(";").any()
    assert (made.labels["primary_label"].str.len() > 0).all()
    assert made.labels["start"].str.fullmatch(r"00:00:[0-5][05]").all()
    assert made.labels["end"].str.fullmatch(r"00:0(0:[0-5][05]|1:00)").all()


def test_labels_agree_with_the_truth_and_partial_files_leave_audible_windows_out(made):
    unique = made.labels.drop_duplicates()
    labelled_rows = []
    for row in unique.itertuples():
        minutes, end_s = map(int, row.end.split(":")[1:])
        labelled_rows.append(f"{row.filename.removesuffix('.ogg')}_{60 * minutes + end_s}")
        heard = made.truth.loc[labelled_rows[-1]]
        assert set(row.primary_label.split(";")) == set(heard.index[heard == 1])
    counts = unique["filename"].value_counts()
    partial = made.quirks["partly_labelled_soundscape"]
    assert len(partial) == MiniatureSpec.tiny().n_partial
    assert set(counts.index[counts < 12]) == set(partial)
    left_out = [r for name in partial for r in row_ids(name.removesuffix(".ogg")) if r not in labelled_rows]
    assert made.truth.loc[left_out].to_numpy().sum() > 0


def test_mirrored_sonotypes_are_positive_in_the_same_windows(made):
    groups = [group.split("=") for group in made.quirks["mirrored_sonotypes"]]
    assert groups
    for first, *others in groups:
        for other in others:
            for table in (made.truth, made.solution):
                assert table[first].sum() > 0
                assert (table[first] == table[other]).all()


def test_sample_submissions_three_rows_before_all_rows_in_the_rerun(made):
    public = pd.read_csv(made.public / "sample_submission.csv")
    assert len(public) == 3
    stems = sorted(path.stem for path in (made.rerun / "test_soundscapes").glob("*.ogg"))
    assert made.sample["row_id"].tolist() == [row for stem in stems for row in row_ids(stem)]
    assert np.allclose(made.sample[made.classes], 1 / len(made.classes))
    assert made.solution["row_id"].tolist() == made.sample["row_id"].tolist()


def test_solution_scores_most_classes_and_splits_usage_by_file(made):
    positives = made.solution[made.classes].sum()
    absent = made.quirks["label_absent_from_test"]
    assert (positives[absent] == 0).all()
    assert (positives.drop(absent) >= 3).all()
    assert len(positives.drop(absent)) >= 0.6 * len(made.classes)
    usage = made.solution.groupby(made.solution["row_id"].str.rsplit("_", n=1).str[0])["Usage"].agg(
        ["nunique", "first"]
    )
    assert (usage["nunique"] == 1).all()
    assert set(usage["first"]) == {"Public", "Private"}


# --- sound files ----------------------------------------------------------------------------------------------------


def test_broken_clips_have_each_its_fault(made):
    assert made.clip("zero_byte_clip").stat().st_size == 0
    assert made.clip("zero_sample_clip").stat().st_size > 0
    assert soundfile.info(made.clip("zero_sample_clip")).frames == 0
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.read(made.clip("corrupt_clip"))
    silence, _ = soundfile.read(made.clip("silent_clip"))
    assert len(silence) > SAMPLE_RATE
    assert np.abs(silence).max() < 1e-4
    cut = made.clip("truncated_clip").read_bytes()
    with pytest.raises(BadInput):
        renumber_stream(cut, 1)


def test_odd_clips_are_stereo_of_other_rates_or_short(made):
    def info(name):
        return soundfile.info(made.public / "train_audio" / name)

    assert {info(name).channels for name in made.quirks["stereo_clip"]} == {2}
    assert {info(name).samplerate for name in made.quirks["clip_44100"]} == {44_100}
    assert {info(name).samplerate for name in made.quirks["clip_48000"]} == {48_000}
    assert len(made.quirks["short_clip"]) >= 3
    assert all(info(name).duration < 5 for name in made.quirks["short_clip"])


def test_soundscapes_last_a_minute_but_for_the_planted_ones(made):
    odd = {
        made.quirks["long_labelled_soundscape"][0]: (1, 10),
        made.quirks["long_test_soundscape"][0]: (1, 10),
        made.quirks["short_test_soundscape"][0]: (-3200, -3200),
    }
    files = list((made.rerun / "train_soundscapes").iterdir()) + list((made.rerun / "test_soundscapes").glob("*.ogg"))
    for path in files:
        about = soundfile.info(path)
        low, high = odd.pop(path.name, (0, 0))
        assert low <= about.frames - SOUNDSCAPE_SAMPLES <= high, path.name
        assert (about.samplerate, about.channels) == (SAMPLE_RATE, 1)
    assert not odd


def test_public_side_has_no_test_sound_and_the_rerun_shares_the_rest(made):
    assert [path.name for path in (made.public / "test_soundscapes").iterdir()] == ["readme.txt"]
    public, rerun = digests(made.public), digests(made.rerun)
    assert public.pop("sample_submission.csv") != rerun["sample_submission.csv"]
    assert public.items() <= rerun.items()
    assert os.path.samefile(made.public / "train.csv", made.rerun / "train.csv")


def test_sites_days_and_triplets_are_as_awkward_as_in_the_contest(made):
    train = [parse_soundscape(path.name) for path in (made.public / "train_soundscapes").iterdir()]
    test = [parse_soundscape(path.name) for path in (made.rerun / "test_soundscapes").glob("*.ogg")]
    labelled = [parse_soundscape(name) for name in made.labels["filename"].unique()]
    assert not {s.date for s in train} & {s.date for s in test}
    sites, seen = {s.site for s in test}, {s.site for s in train}
    assert set(made.quirks["test_site_with_labels"]) == sites & {s.site for s in labelled}
    assert set(made.quirks["test_site_without_labels"]) == (sites & seen) - {s.site for s in labelled}
    assert set(made.quirks["test_site_never_seen"]) == sites - seen
    assert all(made.quirks[f"test_site_{kind}"] for kind in ("with_labels", "without_labels", "never_seen"))
    assert Counter(s.site for s in labelled).most_common(1)[0][0] == made.quirks["noisy_site"][0] == "S22"
    triplet = [parse_soundscape(name) for name in made.quirks["same_site_and_second_soundscape"]]
    assert len(triplet) == 3
    assert len({(s.site, s.date, s.time) for s in triplet}) == 1
    assert len({s.group for s in labelled}) >= 5


def test_noisy_site_is_the_loudest(made):
    levels: dict[str, list[float]] = {}
    for path in (made.public / "train_soundscapes").iterdir():
        sound, _ = soundfile.read(path)
        levels.setdefault(parse_soundscape(path.name).site, []).append(float(np.median(np.abs(sound))))
    typical = {site: float(np.median(values)) for site, values in levels.items()}
    assert max(typical, key=typical.get) == "S22"


def test_events_are_at_the_listed_seconds(made):
    """In the band of a tonal call, the sound is louder while the call lasts than it is in the rest of the file."""
    cast = {species.label: species for species in make_cast(MiniatureSpec.tiny())}
    counted = made.events[made.events["heard"] == 1]
    birds = counted[
        counted["label"].map(lambda label: cast[label].taxon.class_name == "Aves") & (counted["snr_db"] > 6)
    ]
    gains = []
    for event in birds.head(12).itertuples():
        path = next(made.rerun.glob(f"*_soundscapes/{event.file}"))
        sound, _ = soundfile.read(path)
        low, high = band_hz(cast[event.label].song)
        spectrum = np.fft.rfft(sound)
        hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
        spectrum[(hertz < low * 0.8) | (hertz > high * 1.2)] = 0
        power = np.square(np.fft.irfft(spectrum, len(sound)))
        during = power[int(max(0, event.onset_s) * SAMPLE_RATE) : int(event.offset_s * SAMPLE_RATE)]
        gains.append(10 * np.log10(during.mean() / np.median(power)))
    assert len(gains) >= 5
    assert np.median(gains) > 4


# --- making ---------------------------------------------------------------------------------------------------------


def test_two_builds_are_equal_byte_for_byte_whatever_the_number_of_workers(made, tmp_path):
    again = make_miniature(tmp_path / "again", MiniatureSpec.tiny(), workers=1)
    assert digests(again) == digests(made.root)


def test_another_seed_makes_other_sound_and_other_labels():
    def drawn(seed):
        spec = with_settings(MiniatureSpec.tiny(), [f"seed={seed}"])
        cast = make_cast(spec)
        return [planned_window_labels(scene) for scene in plan_scenes(spec, cast, make_recordings(spec))]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_finished_miniature_is_left_alone_and_another_spec_replaces_it(made, tmp_path, monkeypatch):
    root = tmp_path / "place"
    builds = []

    def build(folder, spec, *_):
        builds.append(spec)
        (folder / "miniature.json").write_text(json.dumps({"fingerprint": spec.fingerprint()}))

    monkeypatch.setattr("lib.competition.miniature.make._build", build)
    first, second = MiniatureSpec.tiny(), with_settings(MiniatureSpec.tiny(), ["seed=7"])
    for spec in (first, first, second, second):
        assert make_miniature(root, spec) == root
    assert builds == [first, second]
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_failed_build_leaves_what_was_there(tmp_path, monkeypatch):
    root = tmp_path / "place"

    def build(folder, spec, *_):
        (folder / "half").write_text("made")
        raise OSError("disk full")

    monkeypatch.setattr("lib.competition.miniature.make._build", build)
    with pytest.raises(OSError, match="disk full"):
        make_miniature(root, MiniatureSpec.tiny())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="not a miniature"):
        make_miniature(tmp_path, MiniatureSpec.tiny())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_full_width_has_the_class_counts_of_the_contest():
    spec = MiniatureSpec.full_width()
    cast = make_cast(spec)
    clips, taxonomy = plan_clips(spec, cast), taxonomy_table(cast)
    quirks = quirk_table(cast, clips, train_table(spec, cast, clips), [], {}, [])
    assert taxonomy["class_name"].value_counts().to_dict() == {
        "Aves": 162,
        "Amphibia": 35,
        "Insecta": 28,
        "Mammalia": 8,
        "Reptilia": 1,
    }
    assert taxonomy["primary_label"].is_unique
    assert len({clip.label for clip in clips}) == 206
    assert len(quirks["sonotype"]) == 25
    assert len(quirks["mirrored_sonotypes"]) == 4


def test_corrupt_test_soundscapes_come_only_on_request(tmp_path, made):
    assert made.quirks["corrupt_test_soundscape"] == []
    spec = with_settings(MiniatureSpec.tiny(), ["corrupt_test=2", "n_unlabelled=1", "n_labelled=6", "n_clips=26"])
    broken = Made(make_miniature(tmp_path / "broken", spec))
    names = broken.quirks["corrupt_test_soundscape"]
    assert len(names) == 2
    for path in (broken.rerun / "test_soundscapes").glob("*.ogg"):
        if path.name in names:
            with pytest.raises(soundfile.LibsndfileError):
                soundfile.read(path)
        else:
            soundfile.read(path)


# --- parts ----------------------------------------------------------------------------------------------------------


def test_demo_plan_is_as_busy_as_promised():
    spec = MiniatureSpec()
    cast = make_cast(spec)
    scenes = plan_scenes(spec, cast, make_recordings(spec))
    counts = {
        role: np.array([len(w) for s in scenes if s.recording.role == role for w in planned_window_labels(s)])
        for role in ("labelled", "test")
    }
    assert counts["labelled"].min() >= 1
    assert 1.5 <= counts["labelled"].mean() <= 4
    assert counts["test"].mean() < counts["labelled"].mean()
    assert (counts["test"] == 0).mean() > 0.05
    heard = Counter(
        label for s in scenes if s.recording.role == "test" for w in planned_window_labels(s) for label in w
    )
    assert len(heard) >= 0.6 * spec.n_classes
    assert min(heard.values()) >= 3


def test_every_species_sounds_inside_its_band():
    spec = MiniatureSpec()
    for species in make_cast(spec):
        rng = np.random.default_rng(0)
        song = vary_individual(species.song, rng)
        call = add_distance(render_call(song, SAMPLE_RATE, rng), SAMPLE_RATE, 0.5, rng)
        low, high = band_hz(song)
        power = np.square(np.abs(np.fft.rfft(call)))
        hertz = np.fft.rfftfreq(len(call), 1 / SAMPLE_RATE)
        inside = power[(hertz > low / 1.3) & (hertz < high * 1.3)].sum() / power.sum()
        assert inside > 0.6, species.label
        assert len(call) / SAMPLE_RATE > 0.9 * seconds(song)
        assert np.isfinite(call).all()


def test_unit_loudness_of_a_square_wave_and_of_silence():
    assert unit_loudness(np.array([3.0, -3.0, 3.0])).tolist() == [1.0, -1.0, 1.0]
    assert unit_loudness(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_ogg_checksum_is_the_one_libsndfile_wrote_and_the_number_comes_from_the_name():
    sound = np.sin(np.arange(20_000) / 10).astype(np.float32)
    page = encode_ogg(sound, SAMPLE_RATE, "a.ogg")
    assert page == encode_ogg(sound, SAMPLE_RATE, "a.ogg")
    assert page != encode_ogg(sound, SAMPLE_RATE, "b.ogg")
    polynomial, expected = 0x04C11DB7, 0
    for byte in b"OggS and more":  # the definition, bit by bit
        expected ^= byte << 24
        for _ in range(8):
            expected = (expected << 1 ^ (polynomial if expected & 0x80000000 else 0)) & 0xFFFFFFFF
    assert page_checksum(b"OggS and more") == expected


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("n_clips=99", ("n_clips", 99)),
        ("loudness_db=3", ("loudness_db", 3.0)),
        ("mirrors=[[1,2]]", ("mirrors", ((1, 2),))),
    ],
)
def test_settings_change_one_field(setting, value):
    assert getattr(with_settings(MiniatureSpec.tiny(), [setting]), value[0]) == value[1]


@pytest.mark.parametrize("setting", ["n_clip=9", "n_clips=many", "n_clips=2.5", "n_clips=true", "n_clips", "n_test=0"])
def test_settings_that_mean_nothing_are_refused(setting):
    with pytest.raises(BadInput):
        with_settings(MiniatureSpec.tiny(), [setting])


def test_command_reports_what_it_made_and_refuses_unknown_fields(made, capsys):
    assert miniature_command.main([str(made.root), "--preset", "tiny"]) == 0
    assert "12 classes, 40 clips" in capsys.readouterr().out
    assert miniature_command.main([str(made.root), "--set", "classes=9"]) == 2
    assert "no field" in capsys.readouterr().err


def test_wide_tables_are_made_without_pandas_complaints(made):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pd.read_csv(made.hidden / "truth.csv").shape == (120, 13)

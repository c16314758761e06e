"""Checks of sound: copies are separated from calls; poor sound is flagged with its reason while the usual is not."""

import numpy as np
import pandas as pd

from lib.sound.duplicates.fingerprint import Echoprint, echoprint
from lib.sound.quality.checks import (
    class_outliers,
    exact_copies,
    near_copies,
    poor_recordings,
    silent_windows,
    unusable_files,
)

USUAL = {"problem": "", "rms": 0.1, "dc": 0.0, "clipped": 0.0, "silent": 0.0, "snr_db": 2.0, "edge_hz": 16_000.0}


def an_inventory(**rows):
    return pd.DataFrame([{"name": name} | USUAL | given for name, given in rows.items()])


def hashed(*rows):
    columns = ["name", "file_hash", "sound_hash"]
    return pd.DataFrame(rows, columns=columns).assign(problem="")


def test_a_copy_of_bytes_or_of_samples_is_excluded_and_its_first_stays():
    table = hashed(("a", "f1", "s1"), ("b", "f1", "s1"), ("c", "f2", "s1"), ("d", "f3", "s3"))
    qa = exact_copies("clip", table, dict.fromkeys("abcd", "x"))
    assert qa[["item", "partner", "detail", "action"]].to_numpy().tolist() == [
        ["b", "a", "the same bytes", "exclude"],
        ["c", "a", "the same samples", "exclude"],
    ]


def test_copies_with_other_labels_stay_together_in_one_fold_and_are_shown():
    qa = exact_copies("clip", hashed(("a", "f", "s"), ("b", "f", "s")), {"a": "x", "b": "y"})
    assert qa.action.tolist() == ["group", "review"]
    assert (qa["item"] == "b").all()


def test_of_a_labelled_and_an_unlabelled_copy_the_unlabelled_one_goes():
    qa = exact_copies("soundscape", hashed(("a", "f", "s"), ("b", "f", "s")), {"b": "labels"})
    assert qa[["item", "partner", "action"]].to_numpy().tolist() == [["a", "b", "exclude"]]


def test_unusable_files_are_excluded_and_absent_ones_left_to_the_joins():
    table = an_inventory(a={"problem": "no samples"}, b={"problem": "no such file"}, c={})
    qa = unusable_files("clip", table)
    assert qa[["item", "detail", "action"]].to_numpy().tolist() == [["a", "no samples", "exclude"]]


def test_near_copies_of_a_kind_share_a_fold_and_a_clip_in_a_soundscape_is_shown(flock):
    audio = flock["rubthr1/XC0.ogg"]
    sounds = flock | {"a/copy.ogg": audio[16_000:], "minute": np.tile(flock["grekis/XC1.ogg"], 2)}
    table = pd.DataFrame({"name": list(sounds), "echoprint": [echoprint(one) for one in sounds.values()]})
    kind_of = dict.fromkeys(sounds, "clip") | {"minute": "soundscape"}
    qa = near_copies(table, kind_of, sounds.get)
    assert qa[["item", "partner", "kind", "action"]].to_numpy().tolist() == [
        ["rubthr1/XC0.ogg", "a/copy.ogg", "clip", "group"],
        ["grekis/XC1.ogg", "minute", "clip", "review"],
    ]
    assert qa.detail[0] == "5.5 s in common, similarity 1.00"


def test_poor_sound_is_flagged_with_its_reason_and_the_usual_is_not():
    poor = {
        "clipped": {"clipped": 0.05},
        "silent": {"silent": 0.95},
        "shifted": {"dc": 0.08},
        "faint": {"rms": 0.001},
        "narrow": {"edge_hz": 4000.0},
        "both": {"clipped": 0.02, "silent": 0.95},
    }
    usual = {f"usual{n}": {} for n in range(20)}
    qa = poor_recordings("clip", an_inventory(**poor, **usual, broken={"problem": "no samples", "rms": 0.0}))
    assert dict(zip(qa["item"], qa.detail, strict=True)) == {
        "clipped": "5% clipped",
        "silent": "95% silent",
        "shifted": "off centre by 80% of its loudness",
        "faint": "40 dB softer than usual",
        "narrow": "nothing above 4000 Hz, usual is 16000",
        "both": "2% clipped, 95% silent",
    }
    assert (qa.action == "review").all()


def test_what_all_have_is_not_poor():
    assert (
        len(poor_recordings("clip", an_inventory(**{f"n{n}": {"edge_hz": 4000.0, "rms": 1e-3} for n in range(9)}))) == 0
    )


def test_clips_unlike_their_class_are_shown_oddest_first_and_a_small_class_is_left_out():
    rng = np.random.default_rng(0)
    profiles = rng.normal(size=(40, 96)).astype(np.float32)
    profiles[[3, 17]] += np.float32([[1.5], [3]])
    nothing = np.zeros(0)
    prints = [Echoprint(nothing, nothing, profile) for profile in profiles]
    table = pd.DataFrame({"name": [f"n{n}" for n in range(40)], "echoprint": prints})
    label_of = {name: "small" if n >= 35 else "large" for n, name in enumerate(table.name)}
    assert class_outliers(table, label_of)["item"].tolist() == ["n17", "n3"]
    assert len(class_outliers(table, label_of | {f"n{n}": f"c{n % 9}" for n in range(40)})) == 0


def test_silence_with_a_label_is_shown_and_silence_without_one_is_not():
    levels = {"s1": [-30.0] * 12, "s2": [-30.0, -80.0, -60.0, -80.0] + [-30.0] * 8}
    inventory = pd.DataFrame({"name": list(levels), "levels_db": [np.array(level) for level in levels.values()]})
    rows = [(stem, 5 * (n + 1), ("x",)) for stem in levels for n in range(12)]
    windows = pd.DataFrame(rows, columns=["stem", "end_s", "labels"]).assign(site="S1")
    windows["row_id"] = windows.stem + "_" + windows.end_s.astype(str)
    windows.at[windows.index[windows.row_id == "s2_20"][0], "labels"] = ()
    assert silent_windows(windows, inventory)["item"].tolist() == ["s2_10", "s2_15"]

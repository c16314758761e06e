"""The embedding cache computes once, notices what changed, survives being killed, and reports what failed."""

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import soundfile

from build.project import ROOT
from lib.competition.row_ids import SAMPLE_RATE, WINDOW_SAMPLES
from lib.core.errors import BadInput
from lib.learn.cache import embeddings as embedding_cache
from lib.learn.cache.embeddings import EmbedderRef, RecordingToEmbed, fill_embeddings
from lib.models.embedder.packed import open_embedder
from lib.sound.decode import decode
from tests.support.tinyembedder import CLASSES, embedding_of, logits_of, pack_tiny

STEM = "BC2026_Train_0001_S01_20250101_050000"
CLIPS = [f"bird/{number}.ogg" for number in range(40)]


def write(path, seconds, seed):
    rng, samples = np.random.default_rng(seed), round(seconds * SAMPLE_RATE)
    loudness = np.repeat(rng.uniform(0.02, 0.9, -(-samples // WINDOW_SAMPLES)), WINDOW_SAMPLES)[:samples]
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, rng.uniform(-1, 1, samples) * loudness, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Forty clips of a second, one of seventeen seconds, and a soundscape, by item."""
    folder = tmp_path_factory.mktemp("recorded")
    items = {item: write(folder / item, 1, number) for number, item in enumerate(CLIPS)}
    return items | {"bird/long.ogg": write(folder / "bird/long.ogg", 17, 98), STEM: write(folder / STEM, 60, 99)}


@pytest.fixture
def items(recorded, tmp_path):
    """The same, where they can be changed."""
    shutil.copytree(recorded[STEM].parent, tmp_path / "sounds")
    return {item: tmp_path / "sounds" / path.relative_to(recorded[STEM].parent) for item, path in recorded.items()}


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    return pack_tiny(tmp_path_factory.mktemp("embedders") / "tiny")


@pytest.fixture(scope="module")
def undisturbed(recorded, embedder, tmp_path_factory):
    """Every file of a cache of all items, by name; and the cache."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
        cache = fill_embeddings(recorded, embedder, CLASSES, folder, clip_windows=2)
    return contents(folder), cache


def files(folder):
    return {path.name: path for path in folder.glob("*/*.f16")}


def contents(folder):
    return {name: path.read_bytes() for name, path in files(folder).items()}


def made(folder, before):
    """Count the files that were not in `before`, and replace its times."""
    now = {name: path.stat().st_mtime_ns for name, path in files(folder).items()}
    new = sum(before.get(name) != stamp for name, stamp in now.items())
    before.clear()
    before.update(now)
    return new


def few(items):
    return {item: items[item] for item in (*CLIPS[:3], "bird/long.ogg", STEM)}


def test_the_embeddings_are_those_of_a_soundscapes_twelve_windows_and_of_a_clips_loudest_in_half_precision(
    recorded, undisturbed
):
    cache = undisturbed[1]
    whole = decode(recorded[STEM]).reshape(12, WINDOW_SAMPLES)
    long = decode(recorded["bird/long.ogg"])[: 3 * WINDOW_SAMPLES].reshape(3, WINDOW_SAMPLES)
    loudest = long[np.argsort(-np.square(long).mean(axis=1))][:2]
    short = np.tile(decode(recorded[CLIPS[7]]), 5)[None]
    for item, windows in ((STEM, whole), ("bird/long.ogg", loudest), (CLIPS[7], short)):
        embeddings = cache.embeddings(item)
        assert {name: (values.shape, values.dtype.name) for name, values in embeddings.items()} == {
            "embedding": ((len(windows), 1536), "float32"),
            "logits": ((len(windows), 3), "float32"),
        }
        np.testing.assert_allclose(embeddings["embedding"], embedding_of(windows), rtol=5e-4)
        np.testing.assert_allclose(embeddings["logits"], logits_of(windows), rtol=5e-4)
        assert (embeddings["logits"][:, 1] == -10).all()
    assert 2**-13 < cache.rounding_error <= 2**-11
    assert len(recorded) == sum(item in cache for item in recorded)


def test_the_bytes_are_the_same_whatever_the_number_of_processes(
    recorded, undisturbed, embedder, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    fill_embeddings(dict(reversed(recorded.items())), embedder, CLASSES, tmp_path / "cache", clip_windows=2)
    assert contents(tmp_path / "cache") == undisturbed[0]


def test_nothing_is_embedded_twice_unless_the_recording_the_embedder_or_the_windows_changed(items, embedder, tmp_path):
    folder, before, items = tmp_path / "cache", {}, few(items)
    fill_embeddings(items, embedder, CLASSES, folder, clip_windows=2)
    assert made(folder, before) == 5
    fill_embeddings(items, embedder, CLASSES, folder, clip_windows=2)
    assert made(folder, before) == 0
    fill_embeddings(items, embedder, CLASSES, folder, clip_windows=3)
    assert made(folder, before) == 4  # the soundscape's windows are the same
    path, old = items[CLIPS[1]], items[CLIPS[1]].stat()
    write(path, 1, 77)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))  # same size, same time, other sound
    cache = fill_embeddings(items, embedder, CLASSES, folder, clip_windows=2)
    assert made(folder, before) == 1
    expected = embedding_of(np.tile(decode(path), 5)[None])
    np.testing.assert_allclose(cache.embeddings(CLIPS[1])["embedding"], expected, rtol=5e-4)
    louder = pack_tiny(tmp_path / "tiny", gain=2.0)
    cache = fill_embeddings(items, louder, CLASSES, folder, clip_windows=2)
    assert made(folder, before) == 5
    np.testing.assert_allclose(cache.embeddings(CLIPS[1])["embedding"], 2 * expected, rtol=5e-4)


def test_recordings_of_the_same_bytes_are_embedded_once(items, embedder, tmp_path):
    copies = {CLIPS[0]: items[CLIPS[0]], "other/copy.ogg": shutil.copy(items[CLIPS[0]], tmp_path / "copy.ogg")}
    cache = fill_embeddings(copies, embedder, CLASSES, tmp_path / "cache", clip_windows=2)
    assert len(files(tmp_path / "cache")) == 1
    np.testing.assert_array_equal(
        cache.embeddings("other/copy.ogg")["embedding"], cache.embeddings(CLIPS[0])["embedding"]
    )


def test_a_damaged_file_is_made_again_and_is_an_error_where_it_is_read(items, embedder, tmp_path):
    folder, items = tmp_path / "cache", few(items)
    cache = fill_embeddings(items, embedder, CLASSES, folder, clip_windows=2)
    whole = contents(folder)
    for number, path in enumerate(files(folder).values()):
        path.write_bytes(whole[path.name][: (0, 5, -1, -3078, 12)[number]])
    with pytest.raises(BadInput, match=r"bird/0\.ogg were damaged or removed"):
        cache.embeddings(CLIPS[0])
    fill_embeddings(items, embedder, CLASSES, folder, clip_windows=2)
    assert contents(folder) == whole


def test_what_cannot_be_decoded_is_reported_at_the_end_and_all_else_is_kept(items, embedder, tmp_path, capsys):
    items = {"bird/bad.ogg": tmp_path / "bad.ogg", **few(items), "bird/absent.ogg": tmp_path / "absent.ogg"}
    (tmp_path / "bad.ogg").write_bytes(b"no sound at all")
    cache = fill_embeddings(items, embedder, CLASSES, tmp_path / "cache", clip_windows=2)
    assert set(cache.failed) == {"bird/bad.ogg", "bird/absent.ogg"}
    assert {item for item in items if item in cache} == set(items) - set(cache.failed)
    printed = capsys.readouterr().out
    assert "2 without embeddings: bad.ogg: " in printed
    assert "absent.ogg: no such file" in printed
    with pytest.raises(BadInput, match="no recording has embeddings"):
        fill_embeddings({"bird/bad.ogg": tmp_path / "bad.ogg"}, embedder, CLASSES, tmp_path / "cache", clip_windows=2)


def test_embeddings_that_half_precision_cannot_hold_are_reported_and_not_kept(items, tmp_path):
    loud, items = pack_tiny(tmp_path / "loud", gain=150_000.0), few(items)
    cache = fill_embeddings(items, loud, CLASSES, tmp_path / "cache", clip_windows=2)
    assert 0 < len(cache.failed) < len(items)
    assert all("half precision ends at 65504" in problem for problem in cache.failed.values())
    assert all(np.isfinite(cache.embeddings(item)["embedding"]).all() for item in items if item in cache)


def test_a_recording_that_changes_while_it_is_read_gets_no_embeddings(items, embedder, tmp_path):
    ref = EmbedderRef(embedder, open_embedder(embedder, CLASSES).manifest, CLASSES)
    sound = RecordingToEmbed(items[CLIPS[0]], "what it was when it was looked up", 1, tmp_path / "ab" / "x.f16")
    assert "changed while it was read" in embedding_cache.embed_recordings(ref, [sound])[0].problem
    assert not sound.target.exists()


def test_another_embedder_than_the_expected_one_is_refused(items, embedder, tmp_path):
    ref = EmbedderRef(embedder, "another manifest", CLASSES)
    with pytest.raises(BadInput, match="holds another embedder"):
        embedding_cache.embed_recordings(ref, [])


def test_no_windows_of_a_clip_are_refused(items, embedder, tmp_path):
    with pytest.raises(BadInput, match="no window of a clip"):
        fill_embeddings(items, embedder, CLASSES, tmp_path / "cache", clip_windows=0)


def test_a_full_disk_ends_the_run_loses_nothing_and_the_next_goes_on(items, embedder, tmp_path, undisturbed):
    folder, before = tmp_path / "cache", {}
    items = {item: items[item] for item in (*CLIPS[:2], STEM, *CLIPS[2:4])}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))  # room for a clip's, not for a soundscape's
    try:
        with pytest.raises(BadInput, match=r"cannot be written(.|\n)*free disk space and run again"):
            fill_embeddings(items, embedder, CLASSES, folder, clip_windows=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert made(folder, before) == 2
    assert not list(folder.rglob("*.part"))
    fill_embeddings(items, embedder, CLASSES, folder, clip_windows=2)
    assert made(folder, before) == 3
    assert contents(folder).items() <= undisturbed[0].items()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_or_interrupted_loses_nothing_and_the_next_makes_only_what_is_missing(
    items, embedder, tmp_path, undisturbed, end, monkeypatch
):
    folder, program = tmp_path / "cache", tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import os, sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from lib.learn.cache import embeddings as embedding_cache
        from tests.support.tinyembedder import CLASSES
        def kill_after_first(found, what, total):
            for item in found:
                yield item
                if what == "embedding":
                    os.kill(os.getpid(), {end.value})
        os.sched_getaffinity, embedding_cache.progress = lambda pid: {{0, 1}}, kill_after_first
        if __name__ == "__main__":
            items = {{ {", ".join(f"{item!r}: Path({str(path)!r})" for item, path in items.items())} }}
            packed, cache = Path({str(embedder)!r}), Path({str(folder)!r})
            embedding_cache.fill_embeddings(items, packed, CLASSES, cache, clip_windows=2)
    """)
    )
    run = subprocess.run([sys.executable, program], stderr=subprocess.PIPE, timeout=60)
    assert run.returncode == -end
    before, still = {}, 1
    while still:  # a worker may write its last file after its parent's end, before it notices
        time.sleep(0.3)
        still = made(folder, before)
    assert 8 <= len(before) < len(items)
    (folder / "00").mkdir(exist_ok=True)
    (folder / "00" / "of_a_killed_worker.part").write_bytes(b"half")
    there = len(before)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    fill_embeddings(items, embedder, CLASSES, folder, clip_windows=2)
    assert made(folder, before) == len(items) - there
    assert contents(folder) == undisturbed[0]
    assert not list(folder.rglob("*.part"))


def test_a_folder_is_filled_by_one_run_at_a_time(items, embedder, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    more = {"clip_windows": 2}
    second = threading.Thread(target=fill_embeddings, args=(few(items), embedder, CLASSES, folder), kwargs=more)
    with (folder / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second.start()
        second.join(1.5)  # the work itself takes a tenth of that
        assert second.is_alive()
        assert not files(folder)
    second.join(30)
    assert len(files(folder)) == 5

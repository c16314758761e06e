"""Hidden files, such as `._x.ogg` of macOS, are no part of a competition folder."""

from lib.competition.sound_files import clip_files, soundscape_files, visible
from lib.submit.rows import required_rows

TEST = "BC2026_Test_0001_S05_20250227_010002.ogg"


def test_hidden_files_are_no_sounds(tmp_path):
    names = ("train_audio/a/XC1.ogg", "train_soundscapes/x.ogg", f"test_soundscapes/{TEST}")
    for name in (*names, "train_audio/a/._XC1.ogg", "train_soundscapes/.nfs1.ogg", f"test_soundscapes/._{TEST}"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [*clip_files(tmp_path), *soundscape_files(tmp_path, "*")]
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [names[0], names[2], names[1]]
    (tmp_path / "sample_submission.csv").write_text("row_id,a\nx_5,0\n")
    assert [path.name for path in required_rows(tmp_path).soundscapes] == [TEST]
    assert visible(tmp_path.glob("*")) == sorted(tmp_path.iterdir())

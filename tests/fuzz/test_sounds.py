"""500 mutated sound files: read as they are, read with an alarm, or refused; never shifted without one."""

import subprocess
import sys

import pytest

from build.project import ROOT
from tests.support.hostile.sounds import MOST_MB


@pytest.mark.slow
def test_mutated_sounds(rerun, tmp_path, capsys):
    source = min((rerun / "test_soundscapes").glob("*.ogg"))
    command = [sys.executable, "-m", "tests.support.hostile.sounds", source, tmp_path]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    with capsys.disabled():
        print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-6000:]
    assert int(ran.stdout.split("peak ")[1].split()[0]) < MOST_MB

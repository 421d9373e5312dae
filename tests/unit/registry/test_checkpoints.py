from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ml.registry.checkpoints import Checkpoints, open_checkpoints
from ml.settings import Settings

_KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from ml.registry.checkpoints import Checkpoints

kept = Checkpoints(Path(sys.argv[1]))
kept.arrays("first", lambda: {"x": np.arange(3)})

def second():
    os.kill(os.getpid(), signal.SIGKILL)

kept.arrays("second", second)
"""


def never():
    raise AssertionError("done again")


def test_a_step_is_done_once_and_says_the_same_ever_after(tmp_path):
    made = {"x": np.linspace(0, 1, 5), "names": np.array(["ä", "b"])}
    Checkpoints(tmp_path / "key").arrays("validation a/b", lambda: made)
    again = Checkpoints(tmp_path / "key").arrays("validation a/b", never)
    assert set(again) == set(made)
    assert all(np.array_equal(again[name], made[name]) for name in made)


def test_a_killed_process_leaves_whole_steps_only(tmp_path):
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    kept = Checkpoints(tmp_path)
    assert kept.arrays("first", never)["x"].tolist() == [0, 1, 2]
    assert kept.arrays("second", lambda: {"x": np.arange(2)})["x"].tolist() == [0, 1]


def test_a_spoilt_step_is_done_again_and_says_so(tmp_path, caplog):
    kept = Checkpoints(tmp_path)
    kept.arrays("first", lambda: {"x": np.arange(3)})
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    with caplog.at_level(logging.WARNING):
        assert kept.arrays("first", lambda: {"x": np.arange(9)})["x"].size == 9
    assert "first is done again" in caplog.text
    assert kept.arrays("first", never)["x"].size == 9


def test_objects_are_refused_and_nothing_is_left_of_them(tmp_path):
    kept = Checkpoints(tmp_path)
    with pytest.raises(ValueError, match="Object arrays"):
        kept.arrays("first", lambda: {"x": np.array([object()])})
    assert kept.arrays("first", lambda: {"x": np.arange(3)})["x"].size == 3


def test_without_a_folder_nothing_is_kept():
    kept = Checkpoints()
    kept.arrays("first", lambda: {"x": np.arange(3)})
    assert kept.arrays("first", lambda: {"x": np.arange(4)})["x"].size == 4
    assert kept.scratch("first") is None
    kept.clear()


def test_a_training_sees_its_own_fingerprint_and_abandoned_ones_go(tmp_path):
    settings = Settings(state_dir=tmp_path)
    old, other = (open_checkpoints("trend_video", key, settings) for key in ("old", "other"))
    for kept in (old, other):
        kept.arrays("first", lambda: {"x": np.arange(3)})
    folder = tmp_path / "models" / "checkpoints" / "trend_video"
    os.utime(folder / "old", (0, time.time() - 8 * 24 * 3600))
    own = open_checkpoints("trend_video", "own", settings)
    assert own.arrays("first", lambda: {"x": np.arange(4)})["x"].size == 4
    assert {path.name for path in folder.iterdir()} == {"other", "own"}
    own.clear()
    assert {path.name for path in folder.iterdir()} == {"other"}

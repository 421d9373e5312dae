from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from ml.exceptions import GenerationError
from ml.generation.artifacts import LocalStore
from ml.generation.brief import ChannelBrief, SeriesPoint, VideoBrief
from ml.generation.pipeline import STAGES, input_hash, run_stage
from ml.generation.stage import StageResult
from ml.settings import Settings

NOW = datetime(2026, 5, 31, tzinfo=UTC)


def brief(**changes) -> VideoBrief:
    values = {
        "video_id": "v", "channel": ChannelBrief(channel_id="c", name="Trend Lab"),
        "topic": "Roblox", "as_of": NOW,
    }  # fmt: skip
    return VideoBrief(**values | changes)


def result(sha: str) -> StageResult:
    return StageResult(
        "script", "p", 1.0, 0.0, {"a": {"key": "k", "sha256": sha, "bytes": 1}}, {}, "h"
    )


def test_every_stage_needs_only_earlier_ones():
    seen: set[str] = set()
    for stage in STAGES:
        assert set(stage.needs) <= seen
        assert set(stage.brief_fields) <= set(VideoBrief.model_fields)
        assert set(stage.settings_fields) <= set(Settings.model_fields)
        seen.add(stage.name)


def test_reading_the_stage_list_imports_no_stage():
    code = (
        "import sys; import ml.generation.pipeline;"
        "sys.exit(int(bool({'torch', 'transformers', 'PIL'} & set(sys.modules))))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_hash_follows_what_a_stage_uses_and_nothing_else():
    voice = STAGES[1]
    base = input_hash(voice, brief(), {"script": result("x")}, Settings())
    assert input_hash(voice, brief(seed=5), {"script": result("x")}, Settings()) == base
    assert input_hash(voice, brief(), {"script": result("y")}, Settings()) != base
    assert input_hash(voice, brief(video_id="w"), {"script": result("x")}, Settings()) != base


def test_a_result_survives_its_file():
    made = result("x")
    assert StageResult.from_json(made.to_json(), reused=False) == made
    assert StageResult.from_json(made.to_json(), reused=True).reused


def test_a_stage_before_its_time_says_what_to_run_first(tmp_path):
    with pytest.raises(GenerationError, match="stage script of v is not finished"):
        run_stage("voice", brief(), store=LocalStore(tmp_path), settings=Settings())


def test_an_unknown_stage_is_named(tmp_path):
    with pytest.raises(GenerationError, match="the stages are script, voice"):
        run_stage("dance", brief(), store=LocalStore(tmp_path), settings=Settings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": "  !!"}, {"video_id": "../x"}, {"width": 1281},
        {"series": (SeriesPoint(at=NOW, value=1),)},
        {"series": (SeriesPoint(at=NOW, value=1), SeriesPoint(at=NOW, value=2))},
    ],
)  # fmt: skip
def test_a_wrong_brief_is_refused(wrong):
    with pytest.raises(ValidationError):
        brief(**wrong)


def test_local_files_appear_whole_under_their_key(tmp_path):
    store = LocalStore(tmp_path / "s")
    store.put_text("a/b/c.txt", "hello")
    store.get_file("a/b/c.txt", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "hello"
    assert [path.name for path in (tmp_path / "s" / "a" / "b").iterdir()] == ["c.txt"]
    with pytest.raises(FileNotFoundError):
        store.get_text("a/b/d.txt")

from __future__ import annotations

import json
from datetime import UTC, datetime

from ml.generation.artifacts import LocalStore
from ml.generation.brief import ChannelBrief, VideoBrief
from ml.generation.gate_approval import body, settle
from ml.generation.pipeline import STAGES, input_hash
from ml.generation.stage import StageResult
from ml.settings import Settings

BRIEF = VideoBrief(
    video_id="v", channel=ChannelBrief(channel_id="c", name="Trend Lab"),
    topic="Roblox ![x](http://bad)", as_of=datetime(2026, 5, 31, tzinfo=UTC),
)  # fmt: skip
GATE = StageResult(
    "gate", "p", 1.0, 0.0, {"gate.json": {"key": "k", "sha256": "a", "bytes": 1}},
    {"verdict": "held", "scores": {"overall": 0.7}}, "h",
)  # fmt: skip


def test_a_decision_makes_publishing_start_anew_and_is_the_same_twice(tmp_path):
    store = LocalStore(tmp_path)
    publish = next(stage for stage in STAGES if stage.name == "publish")
    before = input_hash(publish, BRIEF, {"gate": GATE}, Settings())
    approved = settle(GATE, BRIEF, "approve", "ada", store)
    assert approved.metrics["verdict"] == "pass"
    assert approved.metrics["decided_by"] == "ada"
    assert input_hash(publish, BRIEF, {"gate": approved}, Settings()) != before
    assert settle(approved, BRIEF, "approve", "ada", store) == approved
    assert settle(GATE, BRIEF, "reject", "ada", store).metrics["verdict"] == "rejected"
    assert settle(GATE, BRIEF, "hold", "nobody in time", store).metrics["verdict"] == "held"
    stored = json.loads(store.get_text("videos/v/gate/h/decision.json"))
    assert stored["decision"] == "hold"


def test_a_person_sees_thumbnail_scores_and_script_and_no_markup_of_a_source():
    report = {
        "thresholds": {"pass": 0.85},
        "checkpoints": {
            "script": {"verdict": "held", "scores": {"overall": 0.7}, "weakest": "fluency"}
        },
        "checks": [
            {"name": "fluency", "part": "content", "kind": "model", "value": -4.8, "score": 0.7},
            {
                "name": "relevance",
                "part": "content",
                "kind": "heuristic",
                "value": 0.7,
                "score": 1.0,
            },
            {"name": "engagement", "part": "estimate", "kind": "model", "value": 0.1, "score": 0.1},
        ],
    }
    script = {"script": {"intro": {"text": "What is *it*?"}, "segments": [{"text": "Good."}],
                         "outro": {"text": "[Follow](http://bad)"}}}  # fmt: skip
    shown = body(BRIEF, report, script, "http://127.0.0.1:1/t.jpg")
    assert shown.count("](") == 1
    assert "| script | held | 0.70 | fluency |" in shown
    assert "| fluency | model |" in shown
    assert "| relevance |" not in shown
    assert "| engagement |" not in shown
    assert "> What is  it ?" in shown

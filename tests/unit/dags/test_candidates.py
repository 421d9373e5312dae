"""Which candidate a rollout takes from the events that started it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ytempire_airflow.candidates import newest

from ml.exceptions import FatalError


def event(**extra):
    return SimpleNamespace(extra=extra)


def test_no_model_is_lost_where_events_come_together():
    events = [
        event(model="trend_video", version="1.1.0"),
        event(waiting=[["trend_story", "1.2.0"], ["quality_policy", "1.0.1"]]),
        event(model="trend_video", version="1.2.0"),
    ]
    assert sorted(newest(events)) == [
        ("quality_policy", "1.0.1"), ("trend_story", "1.2.0"), ("trend_video", "1.2.0"),
    ]  # fmt: skip


def test_a_run_by_hand_has_to_say_what():
    with pytest.raises(FatalError, match="say which model"):
        newest([])

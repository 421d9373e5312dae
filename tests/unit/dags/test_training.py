"""What asks a training of a watched model for a new version."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ytempire_airflow.assets import FEATURES, RETRAIN_TREND_VIDEO
from ytempire_airflow.training import is_asked_for


@pytest.mark.parametrize(
    ("run_type", "events", "is_asked"),
    [
        ("manual", {}, True),
        ("asset_triggered", {FEATURES: ["new"]}, False),
        ("asset_triggered", {FEATURES: ["new"], RETRAIN_TREND_VIDEO: ["drift"]}, True),
        ("asset_triggered", {FEATURES: ["new"], RETRAIN_TREND_VIDEO: []}, False),
    ],
)
def test_a_person_and_drift_ask_and_new_features_do_not(run_type, events, is_asked):
    context = {"dag_run": SimpleNamespace(run_type=run_type), "triggering_asset_events": events}
    assert is_asked_for(RETRAIN_TREND_VIDEO, context) == is_asked

"""What the API knows by heart follows Postgres, and is not read anew where nothing has changed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from ml.serving.catalog import Catalog
from ml.settings import Settings
from ml.storage.postgres import connect

AS_OF = datetime(2030, 3, 1, 12, tzinfo=UTC)
_SETUP = """
    create table if not exists features.video_momentum (
        video_id text, day_number integer, views bigint, event_at timestamptz,
        available_at timestamptz, is_synthetic boolean
    );
    insert into ml.topics (topic_id, label, language, first_seen_at, last_seen_at)
    values ('t1', 'Tea', 'en', %(as_of)s, %(as_of)s);
    insert into ml.topic_assignments values ('youtube', 'v1', 't1', 1, %(as_of)s);
    insert into features.video_momentum
    values ('v1', 1, 100, %(as_of)s, %(as_of)s, true), ('v2', 1, 900, %(as_of)s, %(as_of)s, true);
    insert into ml.ml_models (model_name, model_type, version, mlflow_version, status, model_path)
    values ('trend_video', 'x', '1.0.0', 1, 'champion', '')
"""
_BATCH = """
    insert into ml.model_predictions
        (model_id, prediction_type, entity_id, as_of, input_data, prediction)
    select id, 'trend_video', 'v1', %(as_of)s, '{"day_number": 1}', %(said)s from ml.ml_models
"""
# A table that is emptied and filled again, a name, an assignment, the answers of a batch.
CHANGES = {
    "momentum": "truncate features.video_momentum; insert into features.video_momentum"
    " values ('v1', 2, 5, %(as_of)s, %(as_of)s, true)",
    "label": "update ml.topics set label = 'Green tea'",
    "assignment": "insert into ml.topic_assignments values ('youtube', 'v2', 't1', 1, %(as_of)s)",
    "batch": "update ml.model_predictions set prediction = '{\"rising\": false}',"
    " created_at = now()",
}


@pytest.fixture
def settings(own_database: Settings) -> Settings:
    values = {"as_of": AS_OF, "said": '{"rising": true}'}
    with connect(own_database.database_url) as conn:
        conn.execute("truncate ml.ml_models, ml.topics cascade")
        for statement in (*_SETUP.split(";"), _BATCH):
            conn.execute(statement.encode(), values)
    return own_database.model_copy(update={"as_of": AS_OF})


def settled(catalog: Catalog):
    """The contents once Postgres has counted what was written before."""
    while True:
        catalog.refresh()
        assert not catalog.problem
        before = catalog.now.mark
        time.sleep(1.2)
        catalog.refresh()
        if catalog.now.mark == before:
            return catalog.now


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_any_kind_is_read_and_nothing_is_read_twice(settings, change):
    catalog = Catalog(settings)
    known = settled(catalog)
    assert known.topics["tea"].videos == ("v1",)
    assert known.batch["v1"].prediction == {"rising": True}
    catalog.refresh()
    assert catalog.now.topics is known.topics
    with connect(settings.database_url) as conn:
        for statement in CHANGES[change].split(";"):
            conn.execute(statement.encode(), {"as_of": AS_OF})
    now = settled(catalog)
    assert (now.topics, now.batch) != (known.topics, known.batch) or change == "momentum"
    assert now.topics is not known.topics


def test_what_grows_old_goes_though_nothing_was_written(settings):
    catalog = Catalog(settings)
    assert set(settled(catalog).topics) == {"t1", "tea"}
    catalog._settings = settings.model_copy(update={"as_of": AS_OF + timedelta(days=8)})
    catalog.refresh()
    assert (catalog.now.topics, catalog.now.batch) == ({}, {})

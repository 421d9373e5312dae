"""The tables that dbt builds for Feast and the definitions that Feast reads cannot diverge."""

from __future__ import annotations

import math

import pytest
import yaml

from feature_repo import entities, on_demand, services
from feature_repo import features as definitions
from ml.warehouse import DBT_PROJECT_DIR

KEYS = ["event_at", "available_at", "is_synthetic"]
FOLDER = DBT_PROJECT_DIR / "models" / "features"
VIDEO = ["video_momentum", "video_profile", "video_dynamics", "video_standing", "video_text"]
# Filled from the published marts.
PUBLISHED = ["topic_momentum", "channel_history", "segment_interest"]
TABLES = [*VIDEO, "story_profile", *PUBLISHED]
# Filled by functions of the database, so dbt does not describe them.
STREAMED = ["story_momentum", "query_momentum"]
SERVICES = [services.trend_video_v2, services.trend_story_v1, services.video_request_v1]


def described(name: str) -> list[dict]:
    (model,) = yaml.safe_load((FOLDER / f"{name}.yml").read_text())["models"]
    return model["columns"]


def key_of(view) -> str:
    (entity,) = view.entities
    return f"{entity}_id"


def test_every_table_of_features_has_a_view():
    models = {path.stem for path in FOLDER.glob("*.sql")} - {"feature_store"}
    assert models == set(TABLES)
    used = {view.name for view in services.trend_video_v2.feature_view_projections}
    assert used == set(VIDEO)
    used = {view.name for view in services.trend_story_v1.feature_view_projections}
    assert used == {"story_profile", "story_momentum"}


def test_there_is_a_service_for_each_entity():
    from feast import Entity, FeatureService

    known = {entity.name for entity in vars(entities).values() if isinstance(entity, Entity)}
    served = {
        view.entities[0]
        for service in vars(services).values()
        if isinstance(service, FeatureService)
        for view in (getattr(definitions, p.name, None) for p in service.feature_view_projections)
        if view is not None
    }
    assert served == known == {"video", "story", "query", "topic", "channel", "segment"}


@pytest.mark.parametrize("name", TABLES)
def test_view_and_table_have_the_same_columns(name):
    view = getattr(definitions, name)
    key = key_of(view)
    fields = [field.name for field in view.schema if field.name != key]
    columns = [column["name"] for column in described(name)]
    assert columns[:4] == [key, *KEYS]
    assert sorted(columns[4:]) == sorted(fields)
    assert view.batch_source.get_table_query_string() == f"features.{name}"


@pytest.mark.parametrize("name", TABLES)
def test_a_feature_that_may_not_be_missing_is_tested_for_it(name):
    tested = {c["name"] for c in described(name) if "not_null" in c.get("data_tests", [])}
    view = getattr(definitions, name)
    required = {f.name for f in view.schema if f.tags.get("nullable") == "false"}
    assert required <= tested


@pytest.mark.parametrize("service", SERVICES)
def test_no_two_views_of_a_service_share_a_name(service):
    names = [f.name for p in service.feature_view_projections for f in p.features]
    assert len(names) == len(set(names)) > 30


def test_every_view_has_owner_description_and_a_time_to_live():
    for name in [*TABLES, *STREAMED]:
        view = getattr(definitions, name)
        assert view.owner
        assert view.description
        # What does not age is online for as long as `ml.features` says.
        assert (view.ttl.total_seconds() == 0) == (view.tags["grain"] in {"video", "story"})


def test_groups_of_the_reference_all_exist():
    fields = [f for p in services.trend_video_v2.feature_view_projections for f in p.features]
    groups = {field.tags["group"] for field in fields}
    assert groups == {"temporal", "engagement", "text", "channel"}


ASKED = {
    "asked_at": 1_767_614_400,  # Monday 2026-01-05, noon in UTC
    "published_at": 1_767_614_400 - 10 * 3600,
    "views": 5000,
    "likes": 60,
    "comments": 20,
    "log_views": 8.5,
    "channel_median_log_views_before": 8.0,
}


def asked(*rows: dict) -> dict:
    """What the last of some rows is told."""
    columns = {name: [row[name] for row in rows] for name in ASKED}
    told = on_demand.video_at_request.feature_transformation.udf(columns)
    assert {len(values) for values in told.values()} == {len(rows)}
    return {name: values[-1] for name, values in told.items()}


def test_a_request_is_told_cyclical_time_age_and_ratios():
    told = asked(ASKED)
    assert list(told) == [field.name for field in on_demand.video_at_request.features]
    assert told["asked_day_cosine"] == pytest.approx(-1)
    # Half a day into the week.
    assert told["asked_week_sine"] == pytest.approx(math.sin(math.pi / 7))
    assert told["age_at_request_hours"] == 10
    assert told["views_per_hour_of_age"] == 500
    assert told["likes_per_comment"] == 3
    assert told["views_to_channel_at_request"] == pytest.approx(0.5)


def test_view_on_demand_says_group_and_unit_and_agrees_with_its_function():
    view = on_demand.video_at_request
    view.infer_features()  # raises where a declared type is not what the function gives
    for field in on_demand.AT_REQUEST:
        assert field.tags["group"] in view.tags[field.name]
        assert field.description in view.tags[field.name]


def test_what_is_missing_at_a_request_stays_missing():
    hidden = {**ASKED, "likes": None, "comments": 0, "channel_median_log_views_before": None}
    told = asked(ASKED, hidden)
    assert told["likes_per_comment"] is None
    assert told["views_to_channel_at_request"] is None
    missing = {name for name, value in told.items() if value is None}
    nullable = {field.name for field in on_demand.AT_REQUEST if field.tags["nullable"] == "true"}
    assert missing <= nullable


@pytest.mark.parametrize("name", [*TABLES, *STREAMED])
def test_every_feature_has_group_unit_and_description(name):
    view = getattr(definitions, name)
    for field in view.schema:
        if field.name == key_of(view):
            continue
        assert field.tags["group"] in {"temporal", "engagement", "text", "channel"}
        assert field.tags["unit"]
        assert field.description

"""The tables that dbt builds for Feast and the definitions that Feast reads cannot diverge."""

from __future__ import annotations

import pytest
import yaml

from feature_repo import features as definitions
from feature_repo import services
from ml.warehouse import DBT_PROJECT_DIR

KEYS = ["event_at", "available_at", "is_synthetic"]
FOLDER = DBT_PROJECT_DIR / "models" / "features"
VIDEO = ["video_momentum", "video_profile", "video_dynamics", "video_standing", "video_text"]
TABLES = [*VIDEO, "story_profile"]
# Filled by functions of the database, so dbt does not describe them.
STREAMED = ["story_momentum", "query_momentum"]
SERVICES = [services.trend_video_v2, services.trend_story_v1]


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


@pytest.mark.parametrize("name", [*TABLES, *STREAMED])
def test_every_feature_has_group_unit_and_description(name):
    view = getattr(definitions, name)
    for field in view.schema:
        if field.name == key_of(view):
            continue
        assert field.tags["group"] in {"temporal", "engagement", "text", "channel"}
        assert field.tags["unit"]
        assert field.description

"""The tables that dbt builds for Feast and the definitions that Feast reads cannot diverge."""

from __future__ import annotations

import pytest
import yaml

from feature_repo import features as definitions
from feature_repo import services
from ml.warehouse import DBT_PROJECT_DIR

KEYS = ["event_at", "available_at", "is_synthetic"]
FOLDER = DBT_PROJECT_DIR / "models" / "features"
TABLES = ["video_momentum", "video_profile", "video_dynamics", "video_standing", "video_text"]


def described(name: str) -> list[dict]:
    (model,) = yaml.safe_load((FOLDER / f"{name}.yml").read_text())["models"]
    return model["columns"]


def test_every_table_of_features_has_a_view():
    models = {path.stem for path in FOLDER.glob("video_*.sql")}
    assert models == set(TABLES)
    used = {view.name for view in services.trend_video_v2.feature_view_projections}
    assert used == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_view_and_table_have_the_same_columns(name):
    view = getattr(definitions, name)
    fields = [field.name for field in view.schema if field.name != "video_id"]
    columns = [column["name"] for column in described(name)]
    assert columns[:4] == ["video_id", *KEYS]
    assert sorted(columns[4:]) == sorted(fields)
    assert view.batch_source.get_table_query_string() == f"features.{name}"


@pytest.mark.parametrize("name", TABLES)
def test_a_feature_that_may_not_be_missing_is_tested_for_it(name):
    tested = {c["name"] for c in described(name) if "not_null" in c.get("data_tests", [])}
    view = getattr(definitions, name)
    required = {f.name for f in view.schema if f.tags.get("nullable") == "false"}
    assert required <= tested


def test_no_two_views_of_a_service_share_a_name():
    names = [f.name for p in services.trend_video_v2.feature_view_projections for f in p.features]
    assert len(names) == len(set(names)) > 100


@pytest.mark.parametrize("name", TABLES)
def test_every_feature_has_group_unit_and_description(name):
    for field in getattr(definitions, name).schema:
        if field.name == "video_id":
            continue
        assert field.tags["group"] in {"temporal", "engagement", "text", "channel"}
        assert field.tags["unit"]
        assert field.description

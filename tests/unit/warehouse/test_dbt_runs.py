from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
import yaml

from ml.exceptions import ConfigurationError, FatalError, ServiceUnavailableError
from ml.settings import PROJECT_ROOT, Settings
from ml.warehouse import (
    DBT_PROJECT_DIR,
    dbt_arguments,
    dbt_env,
    mart_names,
    model_ids,
    transform,
)

MODELS = sorted((DBT_PROJECT_DIR / "models").rglob("*.sql"))


def node(name: str, status: str, message: str) -> dict[str, str]:
    return {"unique_id": f"model.ytempire.{name}", "status": status, "message": message}


def test_the_profile_gets_every_variable_that_it_reads():
    settings = Settings(database_url="postgresql://me:p%40ss@db.example:6543/ytempire")
    env = dbt_env(settings)
    profile = (DBT_PROJECT_DIR / "profiles.yml").read_text()
    for name, value in {
        "YTEMPIRE_DBT_HOST": "db.example",
        "YTEMPIRE_DBT_PORT": "6543",
        "YTEMPIRE_DBT_USER": "me",
        "YTEMPIRE_DBT_DATABASE": "ytempire",
        "DBT_ENV_SECRET_YTEMPIRE_PASSWORD": "p@ss",
    }.items():
        assert env[name] == value
        assert f"env_var('{name}')" in profile


def test_a_url_without_a_login_is_refused():
    with pytest.raises(ConfigurationError, match="needs host, login and database"):
        dbt_env(Settings(database_url="postgresql://db.example/ytempire"))


def test_as_of_reaches_dbt_in_utc_and_needs_a_time_zone():
    moment = datetime.fromisoformat("2026-05-31T07:00:00+02:00")
    settings = Settings(database_url="postgresql://me:password@db.example/ytempire")
    env = transform._process_env(moment, settings, Path("t"))
    assert env["YTEMPIRE_DBT_AS_OF"] == "2026-05-31T05:00:00+00:00"
    assert "env_var('YTEMPIRE_DBT_AS_OF'" in (DBT_PROJECT_DIR / "macros" / "as_of.sql").read_text()
    with pytest.raises(ValueError, match="time zone"):
        transform._process_env(moment.replace(tzinfo=None), settings, Path("t"))


def test_a_command_begins_with_the_newest_parse_of_any(tmp_path):
    settings = Settings(state_dir=tmp_path)
    first = transform._target(["build"], settings)
    (first / "partial_parse.msgpack").write_text("old")
    second = transform._target(["test"], settings)
    assert (second / "partial_parse.msgpack").read_text() == "old"
    (second / "partial_parse.msgpack").write_text("new")
    assert transform._target(["build"], settings) == first
    assert (first / "partial_parse.msgpack").read_text() == "new"


def test_a_moment_is_no_reason_to_parse_again():
    """`--vars` would be: dbt keeps a parse only for the vars that it was made with."""
    assert "--vars" not in dbt_arguments(["build"], target_path=Path("t"))


def test_a_failure_names_the_nodes_in_one_line():
    nodes = [node("good", "success", "ok")]
    nodes += [node(f"bad_{n}", "error", f"Database\n  Error {n}") for n in range(5)]
    error = transform._failure(["build"], nodes, [])
    assert isinstance(error, FatalError)
    assert str(error) == (
        "dbt build failed: bad_0: Database Error 0; bad_1: Database Error 1;"
        " bad_2: Database Error 2; and 2 more"
    )


def test_a_server_that_went_away_may_be_tried_again():
    tail = ["connection to server at 127.0.0.1, port 1 failed: Connection refused"]
    assert isinstance(transform._failure(["build"], [], tail), ServiceUnavailableError)
    lost = [node("a", "error", "terminating connection due to administrator command")]
    assert isinstance(transform._failure(["build"], lost, []), ServiceUnavailableError)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_model_documents_itself_and_its_columns(path):
    (model,) = yaml.safe_load(path.with_suffix(".yml").read_text())["models"]
    assert model["name"] == path.stem
    assert "one row per" in model["description"].lower()
    assert all(column["description"] for column in model["columns"])


FEATURES = sorted((DBT_PROJECT_DIR / "models" / "features").glob("*.sql"))


@pytest.mark.parametrize(
    "path", [path for path in FEATURES if path.stem != "feature_store"], ids=lambda path: path.stem
)
def test_feature_tables_are_append_only_and_survive_a_full_refresh(path):
    text = path.read_text()
    assert "incremental_strategy='append'" in text
    assert "full_refresh=false" in text


def test_every_model_that_learns_from_the_warehouse_is_an_exposure():
    document = yaml.safe_load((DBT_PROJECT_DIR / "models" / "_exposures.yml").read_text())
    named = {each["name"] for each in document["exposures"] if each["type"] == "ml"}
    trainings = (PROJECT_ROOT / "great_expectations").glob("training_*.yaml")
    registered = {path.stem.removeprefix("training_") for path in trainings}
    assert named == registered - {"quality_policy"}  # learns from labelled files


@pytest.mark.parametrize("mart", mart_names())
def test_every_mart_has_a_contract_a_version_and_a_group(mart):
    text = (DBT_PROJECT_DIR / "models" / "marts" / f"{mart}.yml").read_text()
    (model,) = yaml.safe_load(text)["models"]
    assert model["config"]["contract"] == {"enforced": True}
    assert model["config"]["group"]
    if mart != "dim_date":  # the time spine, which dbt takes without versions only
        latest = model["versions"][-1]
        assert model["latest_version"] == latest["v"]
        assert latest["config"]["alias"] == mart
        assert model_ids(["path:models/marts"])[mart].endswith(f".{mart}.v{latest['v']}")


def test_nothing_in_the_project_is_imported_as_a_dbt_plugin():
    assert not list(DBT_PROJECT_DIR.rglob("*.py"))


def test_a_saved_parse_goes_when_a_description_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(transform, "DBT_PROJECT_DIR", tmp_path / "project")
    description = tmp_path / "project" / "models" / "marts" / "a.yml"
    description.parent.mkdir(parents=True)
    description.write_text("columns: [a, b]")
    settings = Settings(state_dir=tmp_path / "state")

    def parsed() -> bool:
        return (transform._target(["build"], settings) / "partial_parse.msgpack").exists()

    assert not parsed()
    (transform._target(["run"], settings) / "partial_parse.msgpack").write_bytes(b"x")
    assert parsed()
    description.write_text("columns: [a]")
    assert not parsed()

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from ml.exceptions import ConfigurationError, FatalError, ServiceUnavailableError
from ml.settings import Settings
from ml.warehouse import DBT_PROJECT_DIR, dbt_arguments, dbt_env, transform

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
    arguments = dbt_arguments(["build"], as_of=moment, target_path=Path("t"))
    assert arguments[-1] == '{"as_of": "2026-05-31T05:00:00+00:00"}'
    with pytest.raises(ValueError, match="time zone"):
        dbt_arguments(["build"], as_of=moment.replace(tzinfo=None), target_path=Path("t"))
    assert moment.astimezone(UTC).hour == 5


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


@pytest.mark.parametrize(
    "name",
    [
        "video_momentum",
        "video_profile",
        "video_dynamics",
        "video_standing",
        "video_text",
    ],
)
def test_feature_tables_are_append_only_and_survive_a_full_refresh(name):
    text = (DBT_PROJECT_DIR / "models" / "features" / f"{name}.sql").read_text()
    assert "incremental_strategy='append'" in text
    assert "full_refresh=false" in text


def test_nothing_in_the_project_is_imported_as_a_dbt_plugin():
    assert not list(DBT_PROJECT_DIR.rglob("*.py"))

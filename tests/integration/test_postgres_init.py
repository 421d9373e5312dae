"""The script that the compose file's Postgres runs, on an empty server."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ml.exceptions import ServiceUnavailableError
from ml.runtime import binaries, bootstrap
from ml.runtime.services import postgres_programs
from ml.runtime.state import State
from ml.settings import PROJECT_ROOT, get_settings

_SCRIPT = PROJECT_ROOT / "docker" / "postgres-init.sh"
_PARTS = ("ytempire", "airflow", "mlflow", "mlflow_auth", "feast", "optuna")
_GUESTS = ("analyst", "serving")
# What a password may contain that a script could take for something else.
_AWKWARD = 'it\'s \\ "$HOME" :role'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """An empty Postgres with nothing but its administrator."""
    root = tmp_path_factory.mktemp("postgres")
    for folder in (root, *root.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)  # its own user must get to its data
    state = State(root)
    state.prepare()
    state.choose_ports(frozenset(), {})
    bootstrap.prepare_postgres(state)
    _, data = binaries.postgres_folders(state.data)
    user = binaries.postgres_user()
    process = subprocess.Popen(
        [str(postgres_programs(state) / "postgres"), "-D", str(data)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        user=user, extra_groups=[] if user else None,
    )  # fmt: skip
    try:
        _wait_for(lambda: _connect(state, "postgres_admin", "postgres").close())
        yield state
    finally:
        process.terminate()
        process.wait(20)


def test_each_part_owns_its_database_and_enters_no_other(server: State) -> None:
    _run_script(server, "first")
    for part in _PARTS:
        with _connect(server, part, part, "first") as connection:
            connection.execute("create table own (n int)")
            connection.execute("drop table own")
        other = "airflow" if part != "airflow" else "ytempire"
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            _connect(server, part, other, "first")


def test_roles_have_no_rights_beyond_their_databases(server: State) -> None:
    _run_script(server, "first")
    with _connect(server, "postgres_admin", "postgres") as connection:
        rows = connection.execute(
            "select rolname from pg_roles where rolname = any(%s) and"
            " (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)",
            [[*_PARTS, *_GUESTS]],
        ).fetchall()
    assert rows == []


def test_analyst_enters_the_warehouse_and_changes_nothing(server: State) -> None:
    _run_script(server, "first")
    with _connect(server, "analyst", "ytempire", "first") as connection:
        assert connection.execute("show search_path").fetchone() == ("marts",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("create table t (n int)")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        _connect(server, "analyst", "airflow", "first")


def test_the_apis_login_has_its_rights_and_a_first_key_after_init(
    server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_script(server, "first")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        _connect(server, "serving", "ytempire", "first")
    port = server.ports["postgres"]
    monkeypatch.setenv("DATABASE_URL", f"postgresql://ytempire:first@127.0.0.1:{port}/ytempire")
    monkeypatch.setenv("YTEMPIRE_API_KEY", "k" * 40)
    get_settings.cache_clear()
    try:
        bootstrap.migrate_application(get_settings())
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    with _connect(server, "serving", "ytempire", "first") as connection:
        keys = connection.execute("select roles from ops.api_keys").fetchall()
        assert keys == [(["admin"],)]
        for refused in ("delete from ops.api_jobs", "select payload from raw.records"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused.encode())


def test_vectors_can_be_stored(server: State) -> None:
    _run_script(server, "first")
    with _connect(server, "ytempire", "ytempire", "first") as connection:
        row = connection.execute("select '[1,2]'::vector <-> '[1,4]'::vector").fetchone()
    assert row == (2.0,)


def test_running_again_changes_passwords_and_keeps_data(server: State) -> None:
    _run_script(server, "first")
    with _connect(server, "feast", "feast", "first") as connection:
        connection.execute("create table kept (n int)")
    _run_script(server, _AWKWARD)
    with _connect(server, "feast", "feast", _AWKWARD) as connection:
        connection.execute("select n from kept")
        connection.execute("drop table kept")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _connect(server, "feast", "feast", "first")


def test_missing_password_stops_the_script_before_it_creates_anything(server: State) -> None:
    _run_script(server, "first")
    result = _start_script(server, {"YTEMPIRE_DB_PASSWORD": "second"})
    assert result.returncode != 0
    assert result.stderr == "AIRFLOW_DB_PASSWORD is not set; nothing is created\n"
    _connect(server, "ytempire", "ytempire", "first").close()


def _run_script(state: State, password: str) -> None:
    names = [part.upper() for part in (*_PARTS, *_GUESTS)]
    result = _start_script(state, {f"{name}_DB_PASSWORD": password for name in names})
    assert result.returncode == 0, result.stderr
    assert password not in result.stdout + result.stderr


def _start_script(state: State, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{postgres_programs(state)}:/usr/bin:/bin",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(state.ports["postgres"]),
        "PGPASSWORD": state.secrets["postgres_admin"],
        "POSTGRES_USER": "postgres_admin",
        **passwords,
    }
    return subprocess.run(
        ["bash", str(_SCRIPT)],  # noqa: S607
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _connect(
    state: State, role: str, database: str, password: str | None = None
) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=state.ports["postgres"], user=role, dbname=database,
        password=password or state.secrets["postgres_admin"], autocommit=True, connect_timeout=5,
    )  # fmt: skip


def _wait_for(attempt: Callable[[], None]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return attempt()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise ServiceUnavailableError("Postgres does not start") from error
            time.sleep(0.1)

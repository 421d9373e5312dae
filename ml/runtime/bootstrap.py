"""Writes the services' configuration and provisions databases, roles and buckets.

Everything here may run again at any time and changes nothing that is already right.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from ml.exceptions import ConfigurationError, ServiceUnavailableError
from ml.runtime import binaries
from ml.runtime.airflow import airflow_environment, airflow_passwords
from ml.runtime.state import State
from ml.settings import Settings
from ml.storage import migrate
from ml.storage.objects import ObjectStore

_ADMIN = "postgres_admin"
# Charts of the United States turn over within a day; the others keep a video long enough for a
# label three days later.
_WORLD_REGIONS = ["US", "IN", "AU", "PH"]
_DATABASES = ("ytempire", "airflow", "mlflow", "mlflow_auth", "feast", "optuna")


def embedded_settings(state: State) -> dict[str, Any]:
    """What `ml.settings` reads for the embedded services."""
    ports, secrets = state.ports, state.secrets
    world = f"http://127.0.0.1:{ports['world']}"

    def database(name: str, role: str | None = None) -> str:
        role = role or name
        return f"postgresql://{role}:{secrets[role]}@127.0.0.1:{ports['postgres']}/{name}"

    return {
        "database_url": database("ytempire"),
        "analyst_database_url": database("ytempire", "analyst"),
        "api_database_url": database("ytempire", "serving"),
        **{f"{name}_database_url": database(name) for name in _DATABASES[1:]},
        "redis_url": f"redis://:{secrets['valkey']}@127.0.0.1:{ports['valkey']}/0",
        "s3_endpoint_url": f"http://127.0.0.1:{ports['s3']}",
        "s3_access_key": "ytempire",
        "s3_secret_key": secrets["s3_app"],
        "world_url": world,
        "world_key": secrets["world"],
        "youtube_regions": _WORLD_REGIONS,
        "mlflow_tracking_uri": f"http://127.0.0.1:{ports['mlflow']}",
        "mlflow_username": "admin",
        "mlflow_password": secrets["mlflow_admin"],
        "api_key": secrets["api_key"],
        "credentials_key": secrets["credentials_fernet"],
        "airflow_url": f"http://127.0.0.1:{ports['airflow']}",
        "airflow_username": "admin",
        "airflow_password": secrets["airflow_admin"],
    }


def write_configuration(state: State, settings: Settings) -> None:
    """Write the configuration files that the services read."""
    ports, secrets = state.ports, state.secrets
    valkey_data = state.data / "valkey"
    valkey_data.mkdir(exist_ok=True)
    (state.data / "objects").mkdir(exist_ok=True)
    state.write(
        "conf/valkey.conf",
        f"bind 127.0.0.1\nport {ports['valkey']}\ndir {valkey_data}\nappendonly yes\n"
        f"appendfsync everysec\nrequirepass {secrets['valkey']}\nmaxmemory 512mb\n"
        'maxmemory-policy noeviction\nsave ""\n',
    )
    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    bucket = settings.bucket("mlflow")
    identities = [
        _identity("ytempire", secrets["s3_app"], everything),
        _identity(
            "mlflow", secrets["s3_mlflow"], [f"{right}:{bucket}" for right in everything[1:]]
        ),
    ]
    state.write("conf/s3.json", {"identities": identities})
    # Without these keys the filer and volume ports serve every bucket to anybody on the machine.
    parts = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    state.write(
        "conf/security.toml",
        "".join(f'[{part}]\nkey = "{secrets["s3_signing"]}"\n' for part in parts),
    )
    state.write(
        "conf/mlflow-auth.ini",
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = {settings.database('mlflow_auth')}\n"
        f"admin_username = admin\nadmin_password = {secrets['mlflow_admin']}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # Every request would hash the password anew, which is nine tenths of what it costs.
        "auth_cache_ttl_seconds = 60\n",
    )
    state.write("conf/airflow-passwords.json", airflow_passwords(state))


def _identity(key: str, secret: str, actions: list[str]) -> dict[str, object]:
    credentials = [{"accessKey": key, "secretKey": secret}]
    return {"name": key, "credentials": credentials, "actions": actions}


def prepare_postgres(state: State) -> None:
    """Run initdb unless the data directory is there, and write the server's configuration.

    Raises:
        ConfigurationError: if initdb fails; an incomplete directory is removed.
    """
    installed, data = binaries.postgres_folders(state.data)
    user = binaries.postgres_user()
    if not (data / "PG_VERSION").exists() or not (data / "ytempire.ready").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if user:
            os.chown(data, *binaries.account_ids(user))
        _initdb(installed, data, state.secrets[_ADMIN], user)
    port = state.ports["postgres"]
    (data / "postgresql.auto.conf").write_text(
        f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n"
        "max_connections = 300\nshared_buffers = '256MB'\nwork_mem = '32MB'\n"
        "maintenance_work_mem = '128MB'\nmax_wal_size = '2GB'\njit = off\n"
        "password_encryption = 'scram-sha-256'\ntimezone = 'UTC'\n"
    )


def _initdb(installed: Path, data: Path, password: str, user: str | None) -> None:
    uid, gid = binaries.account_ids(user) if user else (None, None)
    with tempfile.NamedTemporaryFile("w", prefix="ytempire-") as secret:
        secret.write(password + "\n")
        secret.flush()
        if uid is not None and gid is not None:
            os.chown(secret.name, uid, gid)
        result = subprocess.run(
            [
                str(installed / "bin" / "initdb"), "-D", str(data), "-U", _ADMIN,
                "--auth=scram-sha-256", f"--pwfile={secret.name}", "--encoding=UTF8",
                "--locale=C.UTF-8",
            ],
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            capture_output=True, text=True, check=False, cwd="/",
            user=uid, group=gid, extra_groups=None if uid is None else [],
        )  # fmt: skip
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if "error" in line.lower()]
        shutil.rmtree(data, ignore_errors=True)
        raise ConfigurationError(f"initdb failed: {lines[-1] if lines else result.stderr.strip()}")
    marker = data / "ytempire.ready"
    marker.touch()


def provision_databases(state: State) -> None:
    """Create each database with its own owner role, the read-only analyst, and the API's login.

    Raises:
        ServiceUnavailableError: if the server refuses the administrator's password.
    """
    secrets = state.secrets
    with _admin(state, "postgres") as connection:
        for name in (*_DATABASES, "analyst", "serving"):
            _ensure_role(connection, name, secrets[name])
        existing = {row[0] for row in connection.execute("select datname from pg_database")}
        for name in _DATABASES:
            identifier = sql.Identifier(name)
            if name not in existing:
                connection.execute(sql.SQL("create database {0} owner {0}").format(identifier))
            connection.execute(
                sql.SQL("revoke connect, temporary on database {} from public").format(identifier)
            )
        connection.execute("grant connect on database ytempire to analyst")
        connection.execute("alter role analyst set default_transaction_read_only = on")
        connection.execute("alter role analyst in database ytempire set search_path = marts")
    with _admin(state, "ytempire") as connection:
        connection.execute("create extension if not exists vector")


def _ensure_role(connection: psycopg.Connection, name: str, password: str) -> None:
    known = connection.execute("select 1 from pg_roles where rolname = %s", (name,)).fetchone()
    verb = sql.SQL("alter" if known else "create")
    connection.execute(
        sql.SQL("{} role {} login password {}").format(
            verb, sql.Identifier(name), sql.Literal(password)
        )
    )


def _admin(state: State, database: str) -> psycopg.Connection:
    try:
        return psycopg.connect(
            host="127.0.0.1", port=state.ports["postgres"], dbname=database, user=_ADMIN,
            password=state.secrets[_ADMIN], autocommit=True, connect_timeout=10,
        )  # fmt: skip
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ServiceUnavailableError(f"Postgres: {reason}") from error


def migrate_application(settings: Settings) -> None:
    """Apply migrations, give analyst and API their rights, and make the configured key known."""
    migrate.upgrade()
    from ml.serving import rights
    from ml.serving.security.keys import ensure_configured_key
    from ml.storage.postgres import connect

    ensure_configured_key(settings)

    with connect(settings.require("database_url")) as connection:
        names = ["analyst", rights.ROLE]
        query = "select rolname from pg_roles where rolname = any(%s)"
        found = {row[0] for row in connection.execute(query, (names,))}
        if rights.ROLE in found:
            rights.grant_rights(connection)
        if "analyst" in found:
            connection.execute("grant usage on schema marts to analyst")
            connection.execute(
                "alter default privileges in schema marts grant select on tables to analyst"
            )


def make_buckets(settings: Settings) -> None:
    """Create the buckets that are missing."""
    ObjectStore(settings).ensure_buckets()


@contextmanager
def migrating_airflow(state: State, settings: Settings) -> Iterator[None]:
    """Bring Airflow's metadata database to the installed version during a `with` block.

    It is a program of its own, so that the block can do other work; skipped when it is there.

    Raises:
        ConfigurationError: if the migration fails; the log has the details.
    """
    from importlib.metadata import version

    marker = state.data / "airflow" / "migrated.json"
    wanted = json.dumps([version("apache-airflow"), settings.database("airflow").rsplit("@")[-1]])
    if marker.exists() and marker.read_text() == wanted:
        yield
        return
    marker.parent.mkdir(exist_ok=True)
    log = state.logs / "airflow-migrate.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env={"PATH": os.environ.get("PATH", ""), **airflow_environment(state, settings)},
            stdout=output, stderr=subprocess.STDOUT,
        ) as migration,
    ):  # fmt: skip
        yield
    if migration.returncode != 0:
        raise ConfigurationError(f"`airflow db migrate` failed; see {log}")
    marker.write_text(wanted)

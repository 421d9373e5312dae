"""What runs: one definition a service, in the order in which they start."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ml.runtime import binaries, health
from ml.runtime.airflow import airflow_environment
from ml.runtime.bootstrap import provision_databases
from ml.runtime.state import State
from ml.settings import PROJECT_ROOT, Settings
from ml.streaming import streams

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """One program under the supervisor.

    Attributes:
        name: as shown by `ytempire status`.
        command: program and arguments; no shell is involved.
        environment: variables it gets beside a minimal set.
        check: raises when the service does not answer; returns a short detail.
        replaced_by: setting whose explicit value means that an external service is used instead.
        ports: names of the ports it listens on.
        forks: whether it has child processes that outlive it when it is killed.
        provision: run at start, before the first check; may run again at any time.
        stage: services of one stage start together; the next stage waits for their health.
        is_wanted: whether it starts without being named.
        unavailable: why it cannot be used as configured, empty if it can.
        awaits_provider: whether it may be up without being healthy: what it lacks is not ours.
    """

    name: str
    command: tuple[str, ...]
    check: Callable[[Settings], str]
    stage: int
    environment: dict[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    replaced_by: str | None = None
    user: str | None = None
    forks: bool = False
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    url: str = ""
    provision: Callable[[], None] | None = None
    is_wanted: bool = True
    unavailable: str = ""
    awaits_provider: bool = False


def definitions(state: State, settings: Settings) -> list[Service]:
    """Every service of the embedded profile, whether it is needed or replaced."""
    return [
        *_storage(state),
        _world(state),
        _mlflow(state, settings),
        *_airflow(state, settings),
        _api(state, settings),
        *_streams(state, settings),
    ]


def _storage(state: State) -> list[Service]:
    ports, data = state.ports, state.data
    installed, postgres_data = binaries.postgres_folders(data)
    return [
        Service(
            name="postgres",
            command=(str(installed / "bin" / "postgres"), "-D", str(postgres_data)),
            check=health.postgres,
            stage=0,
            ports=("postgres",),
            replaced_by="database_url",
            user=binaries.postgres_user(),
            stop_signal="INT",  # fast shutdown: sessions are ended, data are flushed
            url=f"postgresql://{HOST}:{ports['postgres']}",
            provision=partial(provision_databases, state),
        ),
        Service(
            name="valkey",
            command=(str(binaries.valkey_server()), str(state.conf / "valkey.conf")),
            check=health.redis,
            stage=0,
            ports=("valkey",),
            replaced_by="redis_url",
            url=f"redis://{HOST}:{ports['valkey']}",
        ),
        Service(
            name="objects",
            command=(
                str(binaries.script("weed")),
                f"-config_dir={state.conf}",
                "-logtostderr=true",
                "mini",
                f"-dir={data / 'objects'}",
                f"-ip={HOST}",
                f"-ip.bind={HOST}",
                f"-master.port={ports['s3_master']}",
                f"-volume.port={ports['s3_volume']}",
                f"-filer.port={ports['s3_filer']}",
                f"-s3.port={ports['s3']}",
                f"-s3.config={state.conf / 's3.json'}",
                "-webdav=false",
                "-admin.ui=false",
                f"-admin.port={ports['s3_admin']}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-master.telemetry=false",
            ),
            check=health.objects,
            stage=0,
            # Without a ceiling Go keeps three times the memory that it needs here.
            environment={"GOMEMLIMIT": "256MiB", "GOGC": "50"},
            ports=("s3", "s3_master", "s3_volume", "s3_filer", "s3_admin"),
            replaced_by="s3_endpoint_url",
            stop_seconds=5,
            url=f"http://{HOST}:{ports['s3']}",
        ),
    ]


def _world(state: State) -> Service:
    port = state.ports["world"]
    return Service(
        name="world",
        command=(
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "ml.world.server:create_app",
            "--host",
            HOST,
            "--port",
            str(port),
            "--no-access-log",
            "--no-date-header",  # it sends the date of its own clock
            "--timeout-graceful-shutdown",
            "2",  # an open stream would hold up the end
        ),
        check=health.world,
        stage=1,
        environment={"YTEMPIRE_STATE_DIR": str(state.root)},
        ports=("world",),
        replaced_by="world_url",
        url=f"http://{HOST}:{port}",
    )


def _mlflow(state: State, settings: Settings) -> Service:
    port = state.ports["mlflow"]
    return Service(
        name="mlflow",
        command=(
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            HOST,
            "--port",
            str(port),
            "--workers",
            "1",
            "--artifacts-destination",
            f"s3://{settings.bucket('mlflow')}/artifacts",
            "--serve-artifacts",
            "--app-name",
            "basic-auth",
        ),
        check=health.mlflow,
        stage=1,
        forks=True,
        environment={
            "MLFLOW_BACKEND_STORE_URI": settings.database("mlflow"),
            "MLFLOW_S3_ENDPOINT_URL": settings.require("s3_endpoint_url"),
            "AWS_ACCESS_KEY_ID": "mlflow",
            "AWS_SECRET_ACCESS_KEY": state.secrets["s3_mlflow"],
            "AWS_DEFAULT_REGION": settings.s3_region,
            "MLFLOW_AUTH_CONFIG_PATH": str(state.conf / "mlflow-auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": state.secrets["mlflow_flask"],
            # Eight job processes that nothing here uses cost 400 MB.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
        },
        ports=("mlflow",),
        replaced_by="mlflow_tracking_uri",
        url=f"http://{HOST}:{port}",
    )


def _airflow(state: State, settings: Settings) -> list[Service]:
    environment = airflow_environment(state, settings)
    url = f"http://{HOST}:{state.ports['airflow']}"
    parts = {
        "api-server": ("api-server", "--host", HOST, "--port", str(state.ports["airflow"])),
        # The log servers bind every address; the API server reads the log files itself here.
        "scheduler": ("scheduler", "--skip-serve-logs"),
        "dag-processor": ("dag-processor",),
        "triggerer": ("triggerer", "--skip-serve-logs"),
    }
    return [
        Service(
            name=f"airflow-{part}",
            command=(sys.executable, "-m", "airflow", *arguments),
            check=health.airflow(part),
            stage=1,
            forks=True,
            environment=environment,
            ports=("airflow",) if part == "api-server" else (),
            replaced_by="airflow_url",
            url=url if part == "api-server" else "",
        )
        for part, arguments in parts.items()
    ]


def _api(state: State, settings: Settings) -> Service:
    """The HTTP API; it is healthy without models, which it takes up when they are there."""
    url = f"http://{HOST}:{state.ports['api']}"
    # One process leaves the machine to the pipelines unless more are asked for.
    workers = settings.api_workers if "api_workers" in settings.model_fields_set else 1
    return Service(
        name="api",
        command=(
            sys.executable,
            "-m",
            "ml.cli",
            "serve",
            "--host",
            HOST,
            "--port",
            str(state.ports["api"]),
            "--workers",
            str(workers),
        ),
        check=health.api(url),
        stage=2,
        environment={"YTEMPIRE_STATE_DIR": str(state.root)},
        ports=("api",),
        forks=True,
        stop_seconds=20,  # it answers what it has begun and writes the last predictions
        url=url,
    )


def _streams(state: State, settings: Settings) -> list[Service]:
    """Consumers of what happens now: only where that is wanted, and never beside archives."""
    return [
        Service(
            name=name,
            command=(sys.executable, "-m", "ml.streaming.consumer", "--source", source),
            check=health.stream(source),
            stage=2,
            environment={"YTEMPIRE_STATE_DIR": str(state.root)},
            stop_seconds=5,
            is_wanted=settings.streaming and settings.data_dir is None,
            unavailable=streams.unavailable(source, settings),
            awaits_provider=True,
        )
        for source, name in streams.SERVICES.items()
    ]


def postgres_programs(state: State) -> Path:
    """Folder of psql, initdb and pg_dump."""
    return binaries.postgres_folders(state.data)[0] / "bin"


def project_folder(name: str) -> Path:
    """A folder of the repository, such as `dags`."""
    return PROJECT_ROOT / name

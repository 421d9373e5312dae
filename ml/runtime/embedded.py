"""Start, stop and look at the embedded services."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from ml.airflow_client import AirflowClient
from ml.exceptions import ConfigurationError, ServiceUnavailableError, YtempireError
from ml.runtime import bootstrap
from ml.runtime.health import ProviderAwaitedError
from ml.runtime.services import Service, definitions
from ml.runtime.state import State
from ml.runtime.supervisor import Supervisor
from ml.settings import PROJECT_ROOT, Settings, default_state_dir, get_settings

Report = Callable[[str, float, str], None]

_HEALTHY_WITHIN_S = 90.0
_RUNNING = frozenset({"RUNNING", "STARTING", "BACKOFF"})
# A supervisor that is gone knows no service, which counts as stopped.
_STOPPED = frozenset({"STOPPED", "EXITED", "FATAL", None})


@dataclass(frozen=True)
class ServiceStatus:
    """One row of `ytempire status`; `healthy` is None of what cannot be used as configured."""

    name: str
    healthy: bool | None
    url: str
    pid: int | None
    uptime_s: float | None
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """The row as `status --json` prints it."""
        return asdict(self)


def up(report: Report, only: Collection[str] = ()) -> Settings:
    """Start what is not running, provision it, and wait until all of it is healthy.

    Args:
        report: called with service, seconds and detail as each becomes ready.
        only: names of services to start; all that are wanted by default.

    Raises:
        ConfigurationError: if the state directory, a port or a setting is unusable, or a named
            service cannot be used as configured.
        ServiceUnavailableError: if a service does not become healthy.
    """
    state = State(default_state_dir())
    state.prepare()
    with state.lock():
        settings = _configure(state)
        services = _selected(state, settings, only)
        for service in services:
            if service.unavailable:
                report(service.name, 0.0, f"not started: {service.unavailable}")
        services = [service for service in services if not service.unavailable]
        supervisor = Supervisor(state)
        if not supervisor.processes():
            _prepare_data(state, services)
            supervisor.launch(
                [s for s in definitions(state, settings) if not external(state, settings, s)]
            )
        for stage in sorted({service.stage for service in services}):
            _start_stage(supervisor, settings, [s for s in services if s.stage == stage], report)
            if stage == 0:
                # They bring their own tables and can start while ours and Airflow's are made.
                for service in services:
                    if service.name in ("mlflow", "world"):
                        _start(supervisor, service)
                _provision(state, settings, services, report, with_airflow=_has_airflow(services))
    if _has_airflow(services):
        _ensure_pools(settings)
    return settings


def down(report: Report) -> None:
    """Stop every service, those that need others first. Data stay."""
    state = State(default_state_dir())
    if not (state.root / "ports.json").exists():
        return
    state.prepare()
    with state.lock():
        supervisor = Supervisor(state)
        services = definitions(state, get_settings())
        for stage in sorted({service.stage for service in services}, reverse=True):
            _stop_stage(supervisor, [s.name for s in services if s.stage == stage], report)
        supervisor.shutdown()
        supervisor.end_orphans()


def status() -> list[ServiceStatus]:
    """Health of every service, embedded or external."""
    state = State(default_state_dir())
    if not (state.root / "ports.json").exists():
        return []
    state.prepare()
    settings = get_settings()
    running = Supervisor(state).processes()
    return [
        _status(service, settings, running.get(service.name), external(state, settings, service))
        for service in definitions(state, settings)
        if service.is_wanted or running.get(service.name, {}).get("statename") in _RUNNING
    ]


def external(state: State, settings: Settings, service: Service) -> bool:
    """Whether settings point at another server than the embedded one."""
    if service.replaced_by is None:
        return False
    ours = bootstrap.embedded_settings(state).get(service.replaced_by)
    return bool(getattr(settings, service.replaced_by) != ours)


def _configure(state: State) -> Settings:
    get_settings.cache_clear()
    wanted = get_settings()
    is_running = bool(Supervisor(state).processes())
    state.choose_ports(frozenset(state.ports) if is_running else frozenset(), wanted.ports)
    ours = bootstrap.embedded_settings(state)
    if wanted.data_dir:
        # Remembered, so that a later command does not mix simulated rows into real ones.
        ours["data_dir"] = str(wanted.data_dir)
    state.write("settings.json", ours)
    get_settings.cache_clear()
    settings = get_settings()
    bootstrap.write_configuration(state, settings)
    return settings


def _selected(state: State, settings: Settings, only: Collection[str]) -> list[Service]:
    services = definitions(state, settings)
    if unknown := set(only) - {service.name for service in services}:
        known = ", ".join(service.name for service in services)
        raise ConfigurationError(f"unknown service {', '.join(sorted(unknown))}; known: {known}")
    chosen = [each for each in services if (each.name in only if only else each.is_wanted)]
    if only and (unusable := [each for each in chosen if each.unavailable]):
        raise ConfigurationError(f"{unusable[0].name}: {unusable[0].unavailable}")
    return [service for service in chosen if not external(state, settings, service)]


def _has_airflow(services: Collection[Service]) -> bool:
    return any(service.name.startswith("airflow") for service in services)


def _ensure_pools(settings: Settings) -> None:
    client = AirflowClient(settings)
    pools = json.loads((PROJECT_ROOT / "plugins" / "pools.json").read_text())
    for name, pool in pools.items():
        client.ensure_pool(name, pool["slots"], pool["description"])


def _prepare_data(state: State, services: Collection[Service]) -> None:
    # An orphaned Postgres must be gone before its data directory is touched.
    Supervisor(state).end_orphans()
    if any(service.name == "postgres" for service in services):
        bootstrap.prepare_postgres(state)


def _start_stage(
    supervisor: Supervisor, settings: Settings, services: list[Service], report: Report
) -> None:
    started = time.monotonic()
    for service in services:
        _start(supervisor, service)
    waiting = {service.name: service for service in services}
    reasons: dict[str, str] = {}
    while waiting and time.monotonic() - started < _HEALTHY_WITHIN_S:
        for name, service in list(waiting.items()):
            try:
                if service.provision:
                    service.provision()
                detail = service.check(settings)
            except ProviderAwaitedError as error:
                detail = str(error)
            except YtempireError as error:
                reasons[name] = str(error)
                continue
            report(name, time.monotonic() - started, detail)
            del waiting[name]
        time.sleep(0.05 if len(waiting) < len(services) else 0.1)
    for name in [name for name, service in waiting.items() if service.awaits_provider]:
        report(name, time.monotonic() - started, f"waiting for provider: {reasons[name]}")
        del waiting[name]
    if waiting:
        name = next(iter(waiting))
        log = State(default_state_dir()).logs / f"{name}.log"
        raise ServiceUnavailableError(
            f"{name} is not healthy after {_HEALTHY_WITHIN_S:.0f} s: {reasons[name]}; see {log}"
        )


def _start(supervisor: Supervisor, service: Service) -> None:
    if supervisor.processes().get(service.name, {}).get("statename") not in _RUNNING:
        supervisor.start(service.name)


def _stop_stage(supervisor: Supervisor, names: list[str], report: Report) -> None:
    started = time.monotonic()
    processes = supervisor.processes()
    waiting = {n for n in names if processes.get(n, {}).get("statename") in _RUNNING}
    for name in waiting:
        supervisor.stop(name)
    while waiting:
        processes = supervisor.processes()
        for name in [n for n in waiting if processes.get(n, {}).get("statename") in _STOPPED]:
            report(name, time.monotonic() - started, "stopped")
            waiting.discard(name)
        time.sleep(0.1)


def _provision(
    state: State,
    settings: Settings,
    services: Collection[Service],
    report: Report,
    *,
    with_airflow: bool,
) -> None:
    names = {service.name for service in services}
    started = time.monotonic()
    with bootstrap.migrating_airflow(state, settings) if with_airflow else nullcontext():
        bootstrap.migrate_application(settings)
        if "objects" in names:
            bootstrap.make_buckets(settings)
    report("databases, buckets", time.monotonic() - started, "provisioned")


def _status(
    service: Service, settings: Settings, process: dict[str, Any] | None, is_external: bool
) -> ServiceStatus:
    running = bool(process) and process["statename"] == "RUNNING" if process else False
    if service.unavailable and not running:
        detail = f"not started: {service.unavailable}"
        return ServiceStatus(service.name, None, "", None, None, detail)
    try:
        detail, healthy = service.check(settings), True
    except YtempireError as error:
        detail, healthy = str(error), False
    if is_external:
        url = "external"
        return ServiceStatus(service.name, healthy, url, None, None, detail)
    uptime = float(process["now"] - process["start"]) if process and running else None
    pid = int(process["pid"]) if process and running else None
    if not running:
        state_name = process["statename"].lower() if process else "stopped"
        detail, healthy = f"{state_name}: {detail}" if not healthy else state_name, False
    return ServiceStatus(service.name, healthy, service.url, pid, uptime, detail)

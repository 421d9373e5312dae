"""supervisord keeps the services running: restarts with back-off, logs, ordered stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from http.client import HTTPException
from typing import Any

import psutil

from ml.exceptions import ServiceUnavailableError
from ml.runtime.services import Service
from ml.runtime.state import State
from ml.runtime.successor import NAME_MARK, STATE_MARK
from ml.settings import explicit_environment

_LOG_BYTES = 20_000_000


class Supervisor:
    """The supervisor of one state directory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def processes(self) -> dict[str, dict[str, Any]]:
        """What the supervisor says of each service; empty when it does not run."""
        try:
            rows: Any = self._rpc().getAllProcessInfo()
        except (OSError, HTTPException, xmlrpc.client.Error, KeyError):
            return {}
        return {row["name"]: row for row in rows}

    def launch(self, services: Iterable[Service]) -> None:
        """Run supervisord with these services defined, none of them started.

        Raises:
            ServiceUnavailableError: if it does not come up.
        """
        self.end_orphans()
        configuration = self._state.write("conf/supervisord.conf", self._configuration(services))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env=_environment()
        )
        deadline = time.monotonic() + 10
        while result.returncode == 0 and time.monotonic() < deadline:
            if self.processes():
                return
            time.sleep(0.05)
        reason = (result.stderr or result.stdout).strip().splitlines()
        raise ServiceUnavailableError(
            f"the supervisor did not start: {reason[-1] if reason else 'no answer'}; see "
            f"{self._state.logs / 'supervisord.log'}"
        )

    def start(self, name: str) -> None:
        """Start one service without waiting for it."""
        self._rpc().startProcess(name, False)

    def stop(self, name: str) -> None:
        """Ask one service to stop without waiting for it."""
        try:
            self._rpc().stopProcess(name, False)
        except xmlrpc.client.Fault:
            return  # it was not running

    def shutdown(self) -> None:
        """End the supervisor itself; its services are stopped before."""
        try:
            pid = int(str(self._rpc().getPID()))
            self._rpc().shutdown()
        except (OSError, HTTPException, xmlrpc.client.Error, KeyError):
            return
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=15)

    def end_orphans(self) -> None:
        """End services that a killed supervisor left behind."""
        orphans = self.all_processes()
        for process in orphans:
            # Postgres takes SIGINT for a fast shutdown; the others end on it as well.
            process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(orphans, timeout=10)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)

    def all_processes(self) -> list[psutil.Process]:
        """Every process that belongs to a service of this state directory, tasks included."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get(STATE_MARK) == str(self._state.root))
        except psutil.Error:
            return False

    def _rpc(self) -> Any:
        port, password = self._state.ports["supervisor"], self._state.secrets["supervisor"]
        proxy = xmlrpc.client.ServerProxy(f"http://ytempire:{password}@127.0.0.1:{port}/RPC2")
        return proxy.supervisor

    def _configuration(self, services: Iterable[Service]) -> str:
        logs, secrets, ports = self._state.logs, self._state.secrets, self._state.ports
        parts = [
            "[supervisord]",
            f"logfile={logs / 'supervisord.log'}",
            f"logfile_maxbytes={_LOG_BYTES}",
            f"pidfile={self._state.data / 'supervisord.pid'}",
            f"childlogdir={logs}",
            f"directory={self._state.data}",
            "[inet_http_server]",
            f"port=127.0.0.1:{ports['supervisor']}",
            "username=ytempire",
            f"password={secrets['supervisor']}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        ]
        if os.geteuid() == 0:
            parts.insert(1, "user=root")
        for service in services:
            parts += self._program(service)
        return "\n".join(parts) + "\n"

    def _program(self, service: Service) -> list[str]:
        # Airflow renames its processes, which would overwrite the environment that marks them.
        environment = service.environment | {
            STATE_MARK: str(self._state.root),
            NAME_MARK: service.name,
            "SPT_NOENV": "1",
        }
        pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in environment.items())
        command = service.command
        if service.forks:
            command = (sys.executable, "-m", "ml.runtime.successor", *command)
        lines = [
            f"[program:{service.name}]",
            f"command={' '.join(_quote(word) for word in command)}",
            f"environment={pairs}",
            "autostart=false",
            "autorestart=true",
            # Each try waits one second longer than the last; a database that is away for minutes
            # must not end the services that need it.
            "startretries=100000",
            "startsecs=1",
            f"stopsignal={service.stop_signal}",
            f"stopwaitsecs={service.stop_seconds}",
            "redirect_stderr=true",
            f"stdout_logfile={self._state.logs / service.name}.log",
            f"stdout_logfile_maxbytes={_LOG_BYTES}",
            "stdout_logfile_backups=2",
        ]
        if service.forks:
            lines += ["stopasgroup=true", "killasgroup=true"]
        if service.user:
            lines.append(f"user={service.user}")
        return lines


def _environment() -> dict[str, str]:
    """A small environment: nothing of the caller's shell leaks into the services."""
    keep = ("PATH", "LANG", "HOME", "TZ", "SSL_CERT_FILE")
    kept = {name: os.environ[name] for name in keep if name in os.environ}
    # Bytecode is compiled at install; a caller's PYTHONDONTWRITEBYTECODE must not slow the rest.
    return {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"} | kept | explicit_environment()


def _escape(value: str) -> str:
    return value.replace("%", "%%").replace('"', '\\"')


def _quote(word: str) -> str:
    return '"' + _escape(word) + '"' if " " in word else _escape(word)

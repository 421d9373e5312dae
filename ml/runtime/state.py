"""The state directory: credentials, ports and what settings read, all mode 600.

Layout: `secrets.json`, `ports.json`, `settings.json` (read by `ml.settings`), `conf/` (generated
configuration), `data/` (one folder a service), `logs/`.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from ml.exceptions import ConfigurationError

_SECRETS = (
    "postgres_admin", "ytempire", "airflow", "mlflow", "mlflow_auth", "feast", "optuna", "analyst",
    "serving", "valkey", "s3_app", "s3_mlflow", "s3_signing", "airflow_admin", "airflow_viewer",
    "airflow_api", "mlflow_admin", "mlflow_flask", "supervisor", "api_key", "world",
)  # fmt: skip
# People copy these into a browser.
_TYPED = frozenset({"airflow_admin", "airflow_viewer", "mlflow_admin"})
# What people type into a browser stays the same wherever it is free; the rest is chosen freely.
_PREFERRED_PORTS = {"airflow": 28080, "mlflow": 25000, "api": 28000}
_PORTS = (
    "postgres", "valkey", "s3", "s3_master", "s3_volume", "s3_filer", "s3_admin", "world",
    "mlflow", "airflow", "api", "supervisor",
)  # fmt: skip
# Below 32768, where Linux begins to give ports to outgoing connections: one of those may hold a
# port at the very moment its service starts. SeaweedFS derives its gRPC ports by adding 10000.
_PORT_RANGE = range(11_000, 22_700)
_GRPC_OFFSET = 10_000


class State:
    """One state directory. `prepare` makes it usable; everything else reads it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.conf = root / "conf"
        self.data = root / "data"
        self.logs = root / "logs"
        self._claims: dict[int, socket.socket] = {}

    def prepare(self) -> None:
        """Create the directory with credentials.

        Raises:
            ConfigurationError: if it cannot be written (permissions, full disk).
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # The database runs as another user under root and must be able to pass through.
            self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
            for folder in (self.conf, self.data, self.logs):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o711 if folder == self.data and os.geteuid() == 0 else 0o700)
            self._require_space()
            self._add_missing_secrets()
            self._add_missing_ports()
        except OSError as error:
            raise ConfigurationError(
                f"state directory {self.root} is not usable ({error.strerror or error}); free some "
                "space, fix its permissions or set YTEMPIRE_STATE_DIR"
            ) from error

    def _require_space(self) -> None:
        # A file of real bytes finds a full disk and a quota before a service does.
        probe = self.root / ".space"
        try:
            probe.write_bytes(b"\0" * 1_000_000)
        finally:
            probe.unlink(missing_ok=True)

    def _add_missing_ports(self) -> None:
        """Give ports to services that are younger than this state directory."""
        ports = dict(self.ports)
        missing = [name for name in _PORTS if name not in ports]
        if ports and missing:
            for name in missing:
                ports[name] = self._free_port(name, taken=set(ports.values()))
            self.write("ports.json", ports)

    @property
    def secrets(self) -> dict[str, str]:
        """Generated credentials by name."""
        return self._read("secrets.json")

    @property
    def ports(self) -> dict[str, int]:
        """Chosen ports by name."""
        return self._read("ports.json")

    def choose_ports(self, in_use_by_us: frozenset[str], pinned: dict[str, int]) -> None:
        """Keep the remembered ports that are free or ours, and choose the others.

        Args:
            in_use_by_us: names of ports whose service runs already.
            pinned: ports that the user fixed.

        Raises:
            ConfigurationError: if a pinned port is taken or unknown.
        """
        if unknown := set(pinned) - set(_PORTS):
            raise ConfigurationError(
                f"YTEMPIRE_PORTS names {sorted(unknown)}; it may name {sorted(_PORTS)}"
            )
        ports = dict(self.ports)
        for name in _PORTS:
            if name in in_use_by_us and name in ports:
                continue
            if name in pinned:
                if not _is_free(pinned[name]):
                    raise ConfigurationError(
                        f"port {pinned[name]} (YTEMPIRE_PORTS, {name}) is in use by another "
                        "program; free it or pin another"
                    )
                ports[name] = pinned[name]
            elif name not in ports or not self._is_usable(ports[name]):
                ports[name] = self._free_port(name, taken=set(ports.values()))
        self.write("ports.json", ports)

    def _free_port(self, name: str, taken: set[int]) -> int:
        preferred = _PREFERRED_PORTS.get(name)
        candidates = [preferred] if preferred else []
        candidates += [secrets.choice(_PORT_RANGE) for _ in range(200)]
        for port in candidates:
            if port not in taken and self._is_usable(port):
                return port
        raise ConfigurationError(f"no free port for {name} in {_PORT_RANGE}; stop some programs")

    def _is_usable(self, port: int) -> bool:
        """Whether a port is free, and no other platform that is starting has claimed it.

        Two that start at once would both prefer the same ports, long before either listens. The
        claim is a name in the kernel and goes with this object.
        """
        if not _is_free(port):
            return False
        if port in self._claims or port not in _PREFERRED_PORTS.values():
            return True
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0ytempire-port-{port}")
        except OSError:
            claim.close()
            return False
        self._claims[port] = claim
        return True

    def write(self, name: str, value: Any) -> Path:
        """Write a JSON file (or text, for a str) with mode 600; it is whole or not there."""
        path = self.root / name
        partial = path.with_name(path.name + ".partial")
        text = value if isinstance(value, str) else json.dumps(value, indent=1)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory alone: two `up` at once must not both start services."""
        with (self.root / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigurationError(
                    f"another ytempire command is starting or stopping {self.root}; wait for it"
                ) from error
            yield

    def _read(self, name: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads((self.root / name).read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot read {self.root / name}: {error}") from error
        return value

    def _add_missing_secrets(self) -> None:
        known = self._read("secrets.json")
        missing = [name for name in _SECRETS if name not in known]
        for name in missing:
            known[name] = secrets.token_hex(10 if name in _TYPED else 20)
        if "airflow_jwt" not in known:
            known["airflow_jwt"] = secrets.token_hex(48)
            known["airflow_fernet"] = Fernet.generate_key().decode()
            missing.append("airflow_jwt")
        if "credentials_fernet" not in known:
            known["credentials_fernet"] = Fernet.generate_key().decode()
            missing.append("credentials_fernet")
        if missing:
            self.write("secrets.json", known)


def _is_free(port: int) -> bool:
    for candidate in (port, port + _GRPC_OFFSET):
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                return False
    return True

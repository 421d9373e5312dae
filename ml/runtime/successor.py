"""Starts a program after ending what a killed predecessor left behind.

A scheduler that is killed leaves workers which still hold its database connections, and with them
its locks; a server that is killed leaves a child on its port. Run by the supervisor as
`python -m ml.runtime.successor PROGRAM ARGUMENTS...`.
"""

from __future__ import annotations

import os
import sys

import psutil

# Both are in the environment of every process of a service, children included.
STATE_MARK = "YTEMPIRE_SERVICE_OF"
NAME_MARK = "YTEMPIRE_SERVICE"


def end_predecessor(state: str, name: str) -> None:
    """Kill every other process that carries both marks."""
    left = [process for process in psutil.process_iter() if _belongs(process, state, name)]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)


def _belongs(process: psutil.Process, state: str, name: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        environment = process.environ()
    except psutil.Error:
        return False
    return bool(environment.get(STATE_MARK) == state and environment.get(NAME_MARK) == name)


if __name__ == "__main__":
    end_predecessor(os.environ[STATE_MARK], os.environ[NAME_MARK])
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - becomes the program

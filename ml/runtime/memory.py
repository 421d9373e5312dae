"""Peak memory of the platform, measured while something runs."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

from ml.runtime.state import State
from ml.runtime.supervisor import Supervisor

_EVERY_S = 3.0


class PeakMemory:
    """Samples the proportional set size (PSS) of every service and task, summed.

    PSS counts a page that several processes share once, so the sum is what the machine spends.
    """

    def __init__(self, state: State) -> None:
        self._supervisor = Supervisor(state)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_EVERY_S):
            total = sum(_pss(process) for process in self._supervisor.all_processes())
            self.peak_bytes = max(self.peak_bytes, total)


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0

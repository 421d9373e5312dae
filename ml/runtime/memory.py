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
        self.samples: list[int] = []

    @property
    def peak_bytes(self) -> int:
        """The largest sample, 0 before the first."""
        return max(self.samples, default=0)

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
            self.samples.append(sum(_pss(process) for process in self._supervisor.all_processes()))


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0

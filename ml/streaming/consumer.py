"""The consumer of a stream, a service: `python -m ml.streaming.consumer --source hackernews`.

It looks every few seconds until SIGTERM. What does not answer (the provider, Postgres, object
storage, the online store) is waited for, longer each time; everything else ends the process, which
its supervisor starts again.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from collections.abc import Callable

from ml.exceptions import RetriableError, SourceUnavailableError
from ml.settings import Settings, get_settings
from ml.streaming.base import Stream
from ml.streaming.hackernews import HackerNewsUpdates
from ml.streaming.pipeline import Pipeline

log = logging.getLogger(__name__)

STREAMS: dict[str, Callable[[Settings], Stream]] = {"hackernews": HackerNewsUpdates}

_EVERY_S = 5.0
_LONGEST_WAIT_S = 30.0
_GRACE_S = 3.0


def consume(pipeline: Pipeline, stop: threading.Event, every_s: float = _EVERY_S) -> None:
    """Recover, then step until stopped."""
    recovered, failures = False, 0
    while not stop.is_set():
        try:
            if not recovered:
                pipeline.recover()
                recovered = True
            pipeline.step()
            failures = 0
        except (RetriableError, SourceUnavailableError) as error:
            failures += 1
            log.warning("waiting: %s", error)
        stop.wait(
            every_s if not failures else min(every_s * 2 ** min(failures, 8), _LONGEST_WAIT_S)
        )


def main() -> None:
    """Read the command line and consume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", choices=sorted(STREAMS), required=True)
    source = parser.parse_args().source
    settings = get_settings()
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if settings.data_dir is not None:
        parser.error("what a stream brings must not mix with archives; unset YTEMPIRE_DATA_DIR")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(stop))
    consume(Pipeline(settings, STREAMS[source](settings)), stop)
    log.info("stopped")


def _stop(stop: threading.Event) -> None:
    """End after the step that is under way, or without it: the next process repeats it."""
    stop.set()
    timer = threading.Timer(_GRACE_S, os._exit, (0,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main()

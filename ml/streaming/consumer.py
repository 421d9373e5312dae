"""The consumer of a stream, a service: `python -m ml.streaming.consumer --source hackernews`.

It looks every few seconds until SIGTERM. What does not answer (the provider, Postgres, object
storage, the online store) is waited for, longer each time; everything else ends the process, which
its supervisor starts again. A stream that cannot be used as configured says what to set and does
nothing. `--check` says how far the stream is; its exit code is 1 if that is not far enough.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from ml.exceptions import (
    ProviderError,
    RetriableError,
    ServiceUnavailableError,
    SourceUnavailableError,
)
from ml.runtime import health
from ml.settings import Settings, get_settings
from ml.streaming.base import Stream
from ml.streaming.hackernews import HackerNewsUpdates
from ml.streaming.pipeline import Pipeline
from ml.streaming.streams import unavailable
from ml.streaming.x import XPosts

log = logging.getLogger(__name__)

STREAMS: dict[str, Callable[[Settings], Stream]] = {
    "hackernews": HackerNewsUpdates,
    "x_posts": XPosts,
}

_LONGEST_WAIT_S = 30.0
_GRACE_S = 3.0


def consume(pipeline: Pipeline, stop: threading.Event, every_s: float) -> None:
    """Recover, then step until stopped."""
    recovered, failures = False, 0
    while not stop.is_set():
        try:
            if not recovered:
                pipeline.recover()
                recovered = True
            pipeline.step()
            failures, wait_s = 0, every_s
        except (RetriableError, SourceUnavailableError) as error:
            failures += 1
            log.warning("waiting: %s", error)
            if isinstance(error, ProviderError | SourceUnavailableError):
                with suppress(ServiceUnavailableError):
                    pipeline.waiting(str(error))
            wait_s = max(
                min(every_s * 2 ** min(failures, 8), _LONGEST_WAIT_S),
                getattr(error, "retry_after_s", None) or 0.0,
            )
        stop.wait(wait_s)


def main() -> None:
    """Read the command line and consume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", choices=sorted(STREAMS), required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    source: str = arguments.source
    settings = get_settings()
    reason = unavailable(source, settings)
    if arguments.check:
        sys.exit(_checked(source, settings, reason))
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(stop))
    if settings.data_dir is not None:
        parser.error(reason)
    if reason:
        # A process that ends would only be started again.
        log.error("%s does not run: %s", source, reason)
        stop.wait()
    else:
        stream = STREAMS[source](settings)
        consume(Pipeline(settings, stream), stop, stream.every_s)
    log.info("stopped")


def _checked(source: str, settings: Settings, reason: str) -> int:
    try:
        print(f"does not run: {reason}" if reason else health.stream(source)(settings))
    except ServiceUnavailableError as error:
        print(error)
        return 1
    return 0


def _stop(stop: threading.Event) -> None:
    """End after the step that is under way, or without it: the next process repeats it."""
    stop.set()
    timer = threading.Timer(_GRACE_S, os._exit, (0,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main()

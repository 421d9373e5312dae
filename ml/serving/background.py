"""Work beside the requests that nobody waits for at the end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

# What a request finds old is renewed so long after it: it has gone by then, and pays nothing.
BEHIND_S = 0.01


async def apart(work: Callable[[], None]) -> None:
    """Run `work` in a daemon thread: the event loop would wait at its end for one of its own.

    Loading a model or a service that does not answer must not hold up a stop.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        failed: Exception | None = None
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, failed)

    threading.Thread(target=run, daemon=True).start()
    await done

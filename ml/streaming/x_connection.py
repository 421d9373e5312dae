"""The connection of X's filtered stream: a thread reads the response, which has no end."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import httpx

from ml.exceptions import ProviderError, RecordError
from ml.sources import fields
from ml.sources.http import HttpClient

# A blank line comes every 20 seconds at least.
_TIMEOUT = httpx.Timeout(25.0, connect=5.0)
_LONGEST_LINE = 1_000_000
_BUFFERED = 5000  # lines; whoever is slower than X is cut off by X


class Connection:
    """An open response, and a thread that reads it, so that a look can end without a line.

    Args:
        http: makes the response.
        path: what is asked for.
        params: of the request.

    Attributes:
        request: without its secrets.
        heard: when anything has come last, be it a blank line.
    """

    def __init__(self, http: HttpClient, path: str, params: Mapping[str, str]) -> None:
        self.request, self._response = http.open(path, params, timeout=_TIMEOUT)
        self.heard = datetime.now(UTC)
        self._reason = "X has ended the connection"
        self._lines: queue.Queue[bytes | None] = queue.Queue(_BUFFERED)
        self._closed = threading.Event()
        threading.Thread(target=self._receive, daemon=True, name="x-posts").start()

    def read(self, seconds: float, most: int) -> list[bytes]:
        """The lines of that many seconds, or so many of them.

        Raises:
            ProviderError: if the connection has ended and every line has been read.
        """
        lines: list[bytes] = []
        deadline = time.monotonic() + seconds
        while len(lines) < most:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if line is None:
                self._lines.put(None)  # for the next read
                if not lines:
                    raise ProviderError(f"{self._reason}; {self.request} is made again")
                break
            lines.append(line)
        return lines

    def close(self) -> None:
        """Hang up; the thread ends by that."""
        self._closed.set()
        stream = self._response.extensions["network_stream"]
        with suppress(OSError):
            stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def _receive(self) -> None:
        try:
            for line in _lines(self._response.iter_bytes()):
                self.heard = datetime.now(UTC)
                if _is_notice(line):
                    self._reason = f"X says {line[:300].decode(errors='replace')}"
                    break
                if line:
                    self._put(line)
        except (httpx.HTTPError, httpx.StreamError, ProviderError) as error:
            self._reason = f"{type(error).__name__}: {error}"
        finally:
            self._put(None)
            with suppress(httpx.HTTPError, OSError):
                self._response.close()

    def _put(self, line: bytes | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._lines.put(line, timeout=1.0)
                return


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The whole lines among the bytes; an unfinished last one is none."""
    left = b""
    for chunk in chunks:
        *lines, left = (left + chunk).split(b"\n")
        yield from (line.rstrip(b"\r") for line in lines)
        if len(left) > _LONGEST_LINE:
            raise ProviderError(f"X sends a line of more than {_LONGEST_LINE} bytes")


def _is_notice(line: bytes) -> bool:
    """Whether a line is about the connection, not a post."""
    if b'"errors"' not in line:
        return False
    try:
        said = fields.mapping(fields.document(line), "line")
    except RecordError:
        return False
    return "errors" in said and "data" not in said

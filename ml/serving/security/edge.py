"""The outermost layer of the API: size of requests, headers of answers, and no traces out."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Collection

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ml.serving.security.errors import problem

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DEFAULTS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
# The pages of the documentation load their scripts from a CDN and start them in the page.
_DOCS_POLICY = (
    b"default-src 'none'; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com;"
    b" script-src 'unsafe-inline' https://cdn.jsdelivr.net; worker-src blob:;"
    b" style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com;"
    b" font-src https://fonts.gstatic.com; frame-ancestors 'none'"
)
_HSTS = b"max-age=31536000"


class Edge:
    """ASGI middleware. Inside, `scope["ytempire"]` holds the request's id and its rate limit.

    Args:
        app: what it stands before.
        most_bytes: of a request's body.
        docs: paths of the pages of the documentation.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, docs: Collection[str]) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._docs = frozenset(docs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = scope["ytempire"] = {"request_id": _request_id(scope), "headers": {}}
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                started = True
                self._add_headers(scope, message)
            await send(message)

        if scope["type"] == "websocket":
            await self._app(scope, receive, send_with_headers)
            return
        try:
            if _declared_bytes(scope) > self._most_bytes:
                raise self._too_large()
            await self._app(scope, self._counted(receive), send_with_headers)
        except Exception as error:
            if started:
                raise
            answer = await self._last_answer(error, scope, request["request_id"])
            await answer(scope, receive, send_with_headers)

    async def _last_answer(self, error: Exception, scope: Scope, request_id: str) -> ASGIApp:
        if isinstance(error, HTTPException):
            return problem(error.status_code, str(error.detail), request_id=request_id)
        # The caller gets an id, and who runs the API finds the trace by it.
        log.error("%s %r failed (%s)", scope["method"], scope["path"], request_id, exc_info=error)
        return problem(500, "an error inside; report the request id", request_id=request_id)

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body may have {self._most_bytes} bytes at most")

    def _add_headers(self, scope: Scope, message: Message) -> None:
        """Put ours in the place of what the answer has; defaults yield to it."""
        request = scope["ytempire"]
        ours = {b"x-request-id": request["request_id"].encode()}
        if scope["path"] in self._docs:
            ours[b"content-security-policy"] = _DOCS_POLICY
        if scope.get("scheme") in ("https", "wss"):
            ours[b"strict-transport-security"] = _HSTS
        for name, value in request["headers"].items():
            ours[name.lower().encode()] = value.encode()
        kept = [each for each in message.get("headers", ()) if each[0] not in ours]
        known = {name for name, _ in kept} | ours.keys()
        missing = [each for each in _DEFAULTS if each[0] not in known]
        message["headers"] = [*kept, *ours.items(), *missing]


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(given := value.decode("latin-1")):
            return str(given)
    return uuid.uuid4().hex


def _declared_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            # More digits than any size has: Python refuses to read some thousands of them.
            return int(value[:20])
    return 0

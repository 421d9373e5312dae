"""What every simulated provider shares: the world of a request, and an answer with its faults."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from ml.world import reshape
from ml.world.clock import NOW_HEADER, WorldClock, moment
from ml.world.faults import FAULTS_HEADER, Fault, FaultPlan, Kind, Strikes
from ml.world.ledger import Ledger
from ml.world.uploads import Uploads

_SECRETS = ("key", "api_key", "access_token")


@dataclass
class World:
    """The running world: its seed, clock, key, faults, quota spent, what it has sent and got."""

    seed: int
    clock: WorldClock
    api_key: str
    plan: FaultPlan
    daily_quota: int
    spent: dict[tuple[str, int], int]  # by pool and day
    uploads: Uploads
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(frozen=True)
class Call:
    """One request, as far as the simulation is concerned.

    Attributes:
        world: that is asked.
        minute: what the provider knows of; before the asked moment if it is late.
        address: path, query, posted body and asked moment, without secrets.
        faults: that hit the request.
        etag: that the client has already.
        asked: the asked moment, in minutes since the world's start.
        route: host and path, with the names of parameters in the place of their values.
        is_owner: whether the own channel's owner asks.
    """

    world: World
    minute: int
    address: str
    faults: dict[Kind, Fault]
    etag: str | None
    asked: int = 0
    route: str = ""
    is_owner: bool = False

    @property
    def hours(self) -> float:
        """Hours since the world's start."""
        return self.minute / 60.0

    def status_fault(self) -> tuple[int, dict[str, str]] | None:
        """The status to fail with, and its headers."""
        if fault := self.faults.get("429"):
            return 429, {"Retry-After": f"{fault.retry_after:g}"}
        for code in ("500", "503", "403"):
            if code in self.faults:
                return int(code), {}
        if "401" in self.faults:
            return 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return None


async def keep_posted(request: Request) -> None:
    """Read what was posted, so that `read_call` can tell two questions of one URL apart."""
    if request.method == "POST":
        request.state.posted = await request.body()


def read_call(request: Request, world: World) -> Call:
    """Take from a request what decides its answer.

    Raises:
        HTTPException: 400 if one of the world's own headers is not understood.
    """
    now = request.headers.get(NOW_HEADER)
    query = [item for item in request.query_params.multi_items() if item[0] not in _SECRETS]
    address = f"{request.url.path}?{urlencode(sorted(query))}{_posted(request)}@{now or ''}"
    try:
        asked = world.clock.minute(now)
        faults = world.plan.strike(address, request.headers.get(FAULTS_HEADER), asked)
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
    late = faults.get("late")
    return Call(
        world=world,
        minute=asked - round(late.hours * 60) if late else asked,
        address=address,
        faults=faults,
        etag=request.headers.get("If-None-Match"),
        asked=asked,
        route=str(getattr(request.scope.get("route"), "path", request.url.path)).lstrip("/"),
    )


def _posted(request: Request) -> str:
    body: bytes = getattr(request.state, "posted", b"")
    return "#" + hashlib.blake2b(body, digest_size=8).hexdigest() if body else ""


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def answer(
    call: Call, body: Callable[[], bytes], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Send a body, late, changed, cut or truncated if the call's faults say so.

    What a complete answer holds, as `damage` has counted it, goes to the world's ledger.
    """
    if fault := call.faults.get("slow"):
        await asyncio.sleep(fault.seconds)
    content = body()
    sent = {"date": _date(call), "content-type": "application/json; charset=UTF-8"}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    if status == 200 and "json" in sent["content-type"]:
        content = _changed(call, content)
    if "cut" in call.faults:
        content = content[: len(content) // 2]
    elif "truncate" in call.faults:
        length = {"content-length": str(len(content))}
        return StreamingResponse(_break_off(content), status, {**sent, **length})
    elif status == 200 and isinstance(call.faults, Strikes) and call.faults.tally:
        call.world.ledger.book(call.route, call.asked, call.address, call.faults.tally)
    return Response(content, status, sent)


def _date(call: Call) -> str:
    skew = call.faults.get("skew")
    now = moment(call.asked / 60.0) + timedelta(seconds=skew.seconds if skew else 0.0)
    return format_datetime(now, usegmt=True)


def _changed(call: Call, content: bytes) -> bytes:
    """A JSON body as a skewed clock, a broken definition and a drifted schema leave it."""
    every = call.faults.every if isinstance(call.faults, Strikes) else ()
    if not any(fault.kind in ("skew", "break", "drift") for fault in every):
        return content
    document = json.loads(content)
    holds_rows = isinstance(call.faults, Strikes) and call.faults.tally is not None
    for fault in every:
        if fault.kind == "skew":
            document = reshape.skewed(document, fault.seconds)
        elif fault.kind == "break":
            document = reshape.redefined(document, fault.field, fault.factor)
        elif fault.kind == "drift" and holds_rows:
            document = reshape.drifted(document, call.world.seed, fault.how, fault.field)
    return encode(document)


async def _break_off(content: bytes) -> AsyncIterator[bytes]:
    """Send half of what Content-Length promises, then drop the connection."""
    yield content[: len(content) // 2]
    raise ConnectionAbortedError("the fault plan ends this answer here")

"""What every simulated provider shares: the world of a request, and an answer with its faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from ml.world.clock import NOW_HEADER, WorldClock
from ml.world.faults import FAULTS_HEADER, Fault, FaultPlan, Kind

_SECRETS = ("key", "access_token")


@dataclass
class World:
    """The running world: its seed, clock, key, faults and the quota spent so far."""

    seed: int
    clock: WorldClock
    api_key: str
    plan: FaultPlan
    daily_quota: int
    spent: dict[int, int]


@dataclass(frozen=True)
class Call:
    """One request, as far as the simulation is concerned."""

    world: World
    minute: int
    address: str
    faults: dict[Kind, Fault]
    etag: str | None

    @property
    def hours(self) -> float:
        """Hours since the world's start."""
        return self.minute / 60.0

    def status_fault(self) -> tuple[int, dict[str, str]] | None:
        """The status to fail with, and its headers."""
        if fault := self.faults.get("429"):
            return 429, {"Retry-After": f"{fault.retry_after:g}"}
        for code in ("500", "503"):
            if code in self.faults:
                return int(code), {}
        return None


def read_call(request: Request, world: World) -> Call:
    """Take from a request what decides its answer.

    Raises:
        HTTPException: 400 if one of the world's own headers is not understood.
    """
    now = request.headers.get(NOW_HEADER)
    query = [item for item in request.query_params.multi_items() if item[0] not in _SECRETS]
    address = f"{request.url.path}?{urlencode(sorted(query))}@{now or ''}"
    try:
        minute = world.clock.minute(now)
        faults = world.plan.strike(address, request.headers.get(FAULTS_HEADER))
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
    return Call(world, minute, address, faults, request.headers.get("If-None-Match"))


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def answer(
    call: Call, body: Callable[[], bytes], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Send a body, late, cut or truncated if the call's faults say so."""
    if fault := call.faults.get("slow"):
        await asyncio.sleep(fault.seconds)
    content = body()
    headers = {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}
    if "cut" in call.faults:
        content = content[: len(content) // 2]
    if "truncate" in call.faults:
        return StreamingResponse(
            _break_off(content), status, {**headers, "Content-Length": str(len(content))}
        )
    return Response(content, status, headers)


async def _break_off(content: bytes) -> AsyncIterator[bytes]:
    """Send half of what Content-Length promises, then drop the connection."""
    yield content[: len(content) // 2]
    raise ConnectionAbortedError("the fault plan ends this answer here")

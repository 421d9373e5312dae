"""Refusals of the X API v2, and what every request has to bring.

Problem details: https://docs.x.com/x-api/fundamentals/response-codes-and-errors; windows of 15
minutes and their headers: https://docs.x.com/x-api/fundamentals/rate-limits (both read 2026-11).
`x-rate-limit-reset` is a time of the machine's clock, because that is what a client waits by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastapi import Request, Response

from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.providers import tokens
from ml.world.providers.limits import RateLimit

PROBLEMS = "https://api.x.com/2/problems"
WINDOW_MIN = 15
_TITLES = {
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
    429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip

Params = Mapping[str, str]


class ProblemError(Exception):
    """A refusal with its body."""

    def __init__(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(body.get("title", ""))
        self.status = status
        self.body = body
        self.headers = headers or {}


def plain(status: int, headers: dict[str, str] | None = None) -> ProblemError:
    """A refusal that is no more than its status."""
    title = _TITLES.get(status, "Error")
    body = {"title": title, "type": "about:blank", "status": status, "detail": title}
    return ProblemError(status, body, headers)


def invalid(name: str, value: str, message: str) -> ProblemError:
    """A parameter that X does not take."""
    return ProblemError(400, {
        "errors": [{"parameters": {name: [value]}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": f"{PROBLEMS}/invalid-request",
    })  # fmt: skip


def check_names(params: Iterable[str], known: Iterable[str]) -> None:
    """Refuse parameters that the endpoint does not have.

    Raises:
        ProblemError: naming the first of them.
    """
    listed = ",".join(known)
    for name in params:
        if name not in known:
            message = f"The query parameter [{name}] is not one of [{listed}]"
            raise invalid(name, "", message)


def chosen(params: Params, name: str, known: tuple[str, ...], default: str) -> set[str]:
    """The fields that a request wants.

    Raises:
        ProblemError: if there is one that is not known.
    """
    wanted = set(params.get(name, default).split(",")) - {""}
    for field in wanted:
        if field not in known:
            message = f"The `{name}` query parameter value [{field}] is not one of [{known}]"
            raise invalid(name, field, message)
    return wanted


def whole(params: Params, name: str, default: int, low: int, high: int) -> int:
    """A number within its range.

    Raises:
        ProblemError: if it is none.
    """
    value = params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 20 and low <= int(value) <= high):
        message = f"The `{name}` query parameter value [{value}] is not between {low} and {high}"
        raise invalid(name, value, message)
    return int(value)


def admit(request: Request, world: World, limit: RateLimit) -> tuple[Call, dict[str, str]]:
    """Check credentials, injected failures and the rate limit.

    Returns:
        The call, and the headers of its answer.

    Raises:
        ProblemError: if one of them is in the way.
    """
    call = read_call(request, world)
    given = tokens.bearer(request.headers.get("Authorization"))
    if not tokens.same(given, world.api_key):
        raise plain(401)
    used, reset = limit.count(call.asked)
    fault = call.status_fault()
    left = 0 if fault and fault[0] == 429 else max(limit.calls - used, 0)
    wait = float(fault[1].get("Retry-After", reset)) if fault else reset
    headers = {
        "x-rate-limit-limit": str(limit.calls),
        "x-rate-limit-remaining": str(left),
        "x-rate-limit-reset": str(round(time.time() + wait)),
    }
    if fault:
        raise plain(fault[0], headers)
    if used > limit.calls:
        raise plain(429, headers)
    return call, headers


async def respond(
    request: Request, world: World, limit: RateLimit, found: Callable[[Call], dict[str, Any]]
) -> Response:
    """Answer with what is found or created, or with the problem."""
    try:
        call, headers = admit(request, world, limit)
        body = found(call)
    except ProblemError as problem:
        return refuse(problem)
    created = body.get("meta", {}).get("summary", {}).get("created", 0)
    return await answer(call, lambda: encode(body), 201 if created else 200, headers)


def refuse(problem: ProblemError) -> Response:
    """Send a problem, untouched by faults."""
    headers = {"Content-Type": "application/problem+json", **problem.headers}
    return Response(encode(problem.body), problem.status, headers)

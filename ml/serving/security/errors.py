"""The one shape of errors: problem details (RFC 9457) with a code for programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import HTTPConnection

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limited",
    500: "internal_error",
    503: "unavailable",
}
# RFC 6750, section 3, and RFC 6749, section 5.2.
_CHALLENGES = {
    "invalid_token": 'Bearer error="invalid_token"',
    "invalid_client": 'Basic realm="ytempire"',
}
# A request may be wrong in as many places as it has; the answer stays short.
_MOST_VIOLATIONS = 20
_LONGEST_NAME = 64


class Violation(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int]
    msg: str
    type: str


class Problem(BaseModel):
    """An error. `error` is for programs, `detail` for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
    request_id: str
    errors: list[Violation] | None = Field(None, description="of a request that is not valid")


class ApiError(HTTPException):
    """An error with a code of its own.

    Attributes:
        error: the code, such as `insufficient_scope`.
        reason: why, for the audit log alone; the code if it says all.
        key_id: whose credential it was, if that is known; for the audit log alone.
    """

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
        key_id: str | None = None,
    ) -> None:
        all_headers = dict(headers or {})
        if status == HTTPStatus.UNAUTHORIZED:
            all_headers.setdefault("WWW-Authenticate", _CHALLENGES.get(error, "Bearer"))
        super().__init__(status, detail, all_headers)
        self.error = error
        self.reason = reason or error
        self.key_id = key_id


def problem(
    status: int,
    detail: str,
    *,
    request_id: str = "",
    error: str = "",
    headers: Mapping[str, str] | None = None,
    errors: list[Violation] | None = None,
) -> Response:
    """A response in the shape of errors."""
    title = HTTPStatus(status).phrase
    body = Problem(
        title=title,
        status=status,
        detail=detail,
        error=error or _CODES.get(status) or title.lower().replace(" ", "_"),
        request_id=request_id,
        errors=errors,
    )
    content = body.model_dump_json(exclude_none=True)
    return Response(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def request_id(connection: HTTPConnection) -> str:
    """Id of the request that the edge has given or taken over."""
    return str(connection.scope.get("ytempire", {}).get("request_id", ""))


def answer_errors(app: FastAPI) -> None:
    """Answer what routes raise in the one shape; handlers that are added later come first."""
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _not_valid)


async def _http_error(connection: HTTPConnection, error: Any) -> Response:
    detail = error.detail if isinstance(error.detail, str) else json.dumps(error.detail)
    return problem(
        error.status_code,
        detail,
        request_id=request_id(connection),
        error=getattr(error, "error", ""),
        headers=error.headers,
    )


async def _not_valid(connection: HTTPConnection, error: Any) -> Response:
    # What the caller sent is not repeated: it may be a secret.
    found = [
        Violation(
            loc=[part if isinstance(part, int) else part[:_LONGEST_NAME] for part in item["loc"]],
            msg=item["msg"],
            type=item["type"],
        )
        for item in error.errors()[:_MOST_VIOLATIONS]
    ]
    where = ", ".join(".".join(str(part) for part in item.loc) for item in found[:5])
    return problem(
        422, f"the request is not valid: {where}", request_id=request_id(connection), errors=found
    )


def problem_response(description: str) -> dict[str, Any]:
    """An entry of an operation's `responses` in the OpenAPI document."""
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }

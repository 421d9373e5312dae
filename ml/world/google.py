"""Google's JSON error bodies and page tokens.

Shapes: https://developers.google.com/youtube/v3/docs/errors (read 2026-01),
https://cloud.google.com/apis/design/errors for `status` and `details`.
"""

from __future__ import annotations

import base64
from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


class ApiError(Exception):
    """A refusal, with the body that Google sends for it."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        domain: str = "youtube.parameter",
        location: str | None = None,
        with_status: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        entry: dict[str, Any] = {"message": message, "domain": domain, "reason": reason}
        if location:
            entry |= {"location": location, "locationType": "parameter"}
        self.body: dict[str, Any] = {"error": {"code": code, "message": message, "errors": [entry]}}
        if with_status:
            self.body["error"]["status"] = _STATUS[code]


def key_missing() -> ApiError:
    """A request without any credentials."""
    return ApiError(
        403,
        "forbidden",
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
        domain="global",
        with_status=True,
    )


def key_invalid() -> ApiError:
    """A request with a key that is not known."""
    message = "API key not valid. Please pass a valid API key."
    error = ApiError(400, "badRequest", message, domain="global", with_status=True)
    error.body["error"]["details"] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "youtube.googleapis.com"},
        },
        {
            "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
            "locale": "en-US",
            "message": message,
        },
    ]
    return error


def quota_exceeded() -> ApiError:
    """The daily quota is used up."""
    return ApiError(
        403,
        "quotaExceeded",
        "The request cannot be completed because you have exceeded your "
        '<a href="/youtube/v3/getting-started#quota">quota</a>.',
        domain="youtube.quota",
    )


def rate_limited() -> ApiError:
    """Too many requests at once."""
    return ApiError(
        429, "rateLimitExceeded", "Resource has been exhausted (e.g. check quota).",
        domain="global", with_status=True,
    )  # fmt: skip


def backend_error(code: int) -> ApiError:
    """A failure on Google's side."""
    return ApiError(
        code, "backendError", "Internal error encountered.", domain="global", with_status=True
    )


def page_token(offset: int, *, backwards: bool = False) -> str:
    """Opaque token of the page that starts at `offset`.

    Two protobuf varint fields in base64url, as the provider's are: `CAUQAA` is offset 5.
    """
    value, varint = offset, bytearray()
    while value > 0x7F:
        varint.append(value & 0x7F | 0x80)
        value >>= 7
    varint.append(value)
    raw = b"\x08" + bytes(varint) + b"\x10" + (b"\x01" if backwards else b"\x00")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def page_offset(token: str) -> int:
    """The offset in a page token.

    Raises:
        ApiError: 400 invalidPageToken.
    """
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raw = b""
    if len(raw) in (4, 5) and raw[0] == 8 and raw[-2] == 16:
        return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(raw[1:-2]))
    raise ApiError(
        400, "invalidPageToken", "The request specifies an invalid page token.",
        location="pageToken",
    )  # fmt: skip

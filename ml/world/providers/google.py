"""What Google's APIs share: JSON error bodies, parameters, page tokens.

Shapes: https://developers.google.com/youtube/v3/docs/errors (read 2026-11),
https://cloud.google.com/apis/design/errors for `status` and `details`; the parameters that every
method knows: https://cloud.google.com/apis/docs/system-parameters.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from fastapi import Response
from fastapi.datastructures import QueryParams

from ml.world.answers import Call, answer, encode

Params = Mapping[str, str]
_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip
_SYSTEM_PARAMETERS = frozenset({
    "$.xgafv", "access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint",
    "quotaUser", "uploadType", "upload_protocol", "userIp",
})  # fmt: skip


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
        location_type: str = "parameter",
        with_status: bool = False,
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        entry: dict[str, Any] = {"message": message, "domain": domain, "reason": reason}
        if location:
            entry |= {"location": location, "locationType": location_type}
        self.body: dict[str, Any] = {"error": {"code": code, "message": message, "errors": [entry]}}
        if with_status:
            self.body["error"]["status"] = _STATUS[code]
        if details:
            self.body["error"]["details"] = details


def error_info(reason: str, service: str, **metadata: str) -> dict[str, Any]:
    """The detail of an error that programs are to read."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": service, **metadata},
    }


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
    localized = {
        "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
        "locale": "en-US",
        "message": message,
    }
    details = [error_info("API_KEY_INVALID", "youtube.googleapis.com"), localized]
    return ApiError(400, "badRequest", message, domain="global", with_status=True, details=details)


def login_required(service: str, *, with_key: bool) -> ApiError:
    """A request for a person's own data without that person's token."""
    expected = "Expected OAuth 2 access token, login cookie or other valid authentication"
    message = (
        "API keys are not supported by this API. Expected OAuth2 access token or other"
        " authentication credentials that assert a principal. See"
        " https://cloud.google.com/docs/authentication"
        if with_key
        else f"Request is missing required authentication credential. {expected} credential. See"
        " https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    error = ApiError(
        401, "required", message, domain="global", location="Authorization",
        location_type="header", with_status=True,
        details=[error_info("CREDENTIALS_MISSING", service)],
    )  # fmt: skip
    error.body["error"]["errors"][0]["message"] = "Login Required."
    return error


def forbidden() -> ApiError:
    """A request for what the credentials do not open."""
    return ApiError(403, "forbidden", "Forbidden", domain="global", with_status=True)


def owner_required(parameter: str) -> ApiError:
    """A request for what belongs to an account, without that account's token."""
    return ApiError(
        401, "authorizationRequired",
        f"The request uses the <code>{parameter}</code> parameter but is not properly authorized.",
        location=parameter,
    )  # fmt: skip


def token_invalid() -> ApiError:
    """A token that is not known, or has expired."""
    error = ApiError(
        401, "authError",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login"
        " cookie or other valid authentication credential. See"
        " https://developers.google.com/identity/sign-in/web/devconsole-project.",
        domain="global", location="Authorization", location_type="header", with_status=True,
    )  # fmt: skip
    error.body["error"]["errors"][0]["message"] = "Invalid Credentials"
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


def account_suspended() -> ApiError:
    """The account behind the token is suspended.

    https://developers.google.com/youtube/v3/docs/errors (read 2026-11)
    """
    return ApiError(
        403,
        "authenticatedUserAccountSuspended",
        "The YouTube account of the authenticated user is suspended.",
        domain="youtube.common",
    )


def searches_exceeded() -> ApiError:
    """The searches of the day are used up, which are a quota of their own.

    Status and message as users report them (https://github.com/fqscfqj/Y2A-Auto/issues/124,
    2026-08); the rest is the shape of any 429 of Google's.
    """
    return ApiError(
        429, "rateLimitExceeded",
        "Quota exceeded for quota metric 'Search Queries' and limit 'Search Queries per day' of"
        " service 'youtube.googleapis.com' for consumer 'project_number:1'.",
        domain="global", with_status=True,
        details=[error_info("RATE_LIMIT_EXCEEDED", "youtube.googleapis.com")],
    )  # fmt: skip


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


def injected(call: Call) -> ApiError | None:
    """The failure that the call's faults ask for."""
    fault = call.status_fault()
    if fault is None and "suspended" in call.faults:
        return account_suspended()
    if fault is None:
        return quota_exceeded() if "quota" in call.faults else None
    known = {401: token_invalid, 403: forbidden, 429: rate_limited}
    return known[fault[0]]() if fault[0] in known else backend_error(fault[0])


async def refuse(call: Call, error: ApiError) -> Response:
    """Send an error, with the headers of an injected one."""
    fault = call.status_fault()
    headers = fault[1] if fault and fault[0] == error.code else {}
    return await answer(call, lambda: encode(error.body), error.code, headers)


def invalid_value(name: str, message: str) -> ApiError:
    """A parameter that the method knows and cannot read."""
    violation = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": name, "description": message}],
    }
    return ApiError(400, "invalid", message, domain="global", with_status=True, details=[violation])


def read_parameters(query: QueryParams, known: frozenset[str]) -> dict[str, str]:
    """The parameters of a request; what is repeated is joined by commas.

    Raises:
        ApiError: 400 for one that the method does not know.
    """
    for name in query:
        if name not in known and name not in _SYSTEM_PARAMETERS:
            raise invalid_value(
                name,
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query'
                f" parameter. Field '{name}' could not be found in request message.",
            )
    return {name: ",".join(query.getlist(name)) for name in query if name in known}


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

"""Reads credentials from request headers, strictly: what is ambiguous is refused."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus

from ml.serving.security.errors import ApiError

# RFC 6750, section 2.1: b64token. Longer ones are none of ours.
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,4096}=*)", re.IGNORECASE)
_BASIC = re.compile(r"basic +([A-Za-z0-9+/]{1,1024}={0,2})", re.IGNORECASE)
_KEY = re.compile(r"[\x21-\x7e]{1,256}")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller presented: an API key or a token."""

    kind: Literal["key", "token"]
    value: str


def read_credential(headers: Iterable[tuple[bytes, bytes]]) -> Credential:
    """The one credential of a request.

    Args:
        headers: of an ASGI scope: names in lower case.

    Raises:
        ApiError: 401 if there is none or it is malformed, 400 if there are several.
    """
    found: list[tuple[bytes, str]] = [
        (name, value.decode("latin-1"))
        for name, value in headers
        if name in (b"x-api-key", b"authorization")
    ]
    if not found:
        raise ApiError(401, "unauthorized", "send the header X-API-Key or a bearer token")
    if len(found) > 1:
        raise ApiError(400, "invalid_request", "send one credential, not several")
    name, value = found[0]
    if name == b"x-api-key":
        if _KEY.fullmatch(value):
            return Credential("key", value)
        raise ApiError(401, "invalid_key", "the key is malformed")
    match = _BEARER.fullmatch(value)
    if match is None:
        raise ApiError(401, "invalid_token", "send Authorization: Bearer TOKEN")
    return Credential("token", match[1])


def read_basic(authorization: str) -> tuple[str, str]:
    """Client id and secret of a Basic header, percent-decoded (RFC 6749, section 2.3.1).

    Raises:
        ApiError: 401 if it is not one.
    """
    match = _BASIC.fullmatch(authorization)
    try:
        if match is None:
            raise ValueError("not Basic")
        pair = base64.b64decode(match[1], validate=True).decode("utf-8")
    except (ValueError, binascii.Error) as error:
        raise ApiError(401, "invalid_client", "the header Authorization is malformed") from error
    name, colon, secret = pair.partition(":")
    if not colon:
        raise ApiError(401, "invalid_client", "the header Authorization is malformed")
    return unquote_plus(name), unquote_plus(secret)

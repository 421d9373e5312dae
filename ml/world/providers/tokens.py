"""Access tokens that the world issues and recognises again without remembering them.

Client credentials grants: https://datatracker.ietf.org/doc/html/rfc6749#section-4.4.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import parse_qsl

from fastapi import Request

_TOKEN = re.compile(r"(-?\d{1,12})-([0-9a-f]{40})")


def same(given: str, expected: str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def issue(key: str, provider: str, expires_minute: int) -> str:
    """A token of a provider that is good until a minute of the world's clock."""
    signed = f"{provider}:{expires_minute}".encode()
    mark = hmac.new(key.encode(), signed, hashlib.sha1).hexdigest()
    return f"{expires_minute}-{mark}"


def is_valid(key: str, provider: str, token: str, minute: int) -> bool:
    """Whether the world issued a token for the provider and it is still good."""
    found = _TOKEN.fullmatch(token)
    if found is None or minute >= int(found[1]):
        return False
    return same(token, issue(key, provider, int(found[1])))


def bearer(header: str | None) -> str:
    """The token of an Authorization header, empty without one."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def posted_form(request: Request) -> dict[str, str]:
    """The fields of a posted form; the server has read it by then."""
    return dict(parse_qsl(request.state.posted.decode("utf-8", "replace")))

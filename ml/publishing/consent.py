"""The consent of a YouTube account's owner: OAuth 2.0 for installed apps.

Authorization code with a challenge (RFC 7636) on a loopback address (RFC 8252), as described on
https://developers.google.com/identity/protocols/oauth2/native-app (read 2026-11). The client is one
of the kind *desktop app*.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from ml.exceptions import FatalError, ProviderError
from ml.settings import Settings

SCOPES = (
    "https://www.googleapis.com/auth/youtube.upload",
    "https://www.googleapis.com/auth/youtube.force-ssl",  # captions
    "https://www.googleapis.com/auth/youtube.readonly",
    "https://www.googleapis.com/auth/youtubepartner-channel-audit",  # strikes
    "https://www.googleapis.com/auth/yt-analytics.readonly",
)
_NEEDED = frozenset(SCOPES[:3])
_PAGE = b"<!doctype html><title>ytempire</title><p>You can close this page and go back.</p>"


@dataclass(frozen=True)
class Grant:
    """What the owner granted. The token is left out of its text."""

    refresh_token: str
    scopes: list[str]

    def __repr__(self) -> str:
        return f"Grant(scopes={self.scopes})"


class _Loopback(HTTPServer):
    """Waits for the browser to come back with a code."""

    answer: dict[str, list[str]] | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Loopback
    # Browsers open connections that they may never use, and only one is served at a time.
    timeout = 5.0

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "state" in query:
            self.server.answer = query
        self.send_response(200 if "state" in query else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(_PAGE if "state" in query else b"")

    def log_message(self, *_: Any) -> None:
        """Keep the code out of the log."""


def ask(settings: Settings, show: Callable[[str], None], *, timeout_s: float = 300) -> Grant:
    """Walk through the consent.

    Args:
        settings: with the client's id and secret.
        show: given the address that the owner is to open in a browser on this machine.
        timeout_s: how long the owner may take.

    Raises:
        FatalError: if consent is refused, is for too little, or does not come.
        ProviderError: if the provider does not answer.
    """
    client_id = settings.require_credential("youtube_client_id")
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(24)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    with _Loopback() as server:
        redirect = f"http://127.0.0.1:{server.server_port}/"
        query = {
            "client_id": client_id, "redirect_uri": redirect, "response_type": "code",
            "scope": " ".join(SCOPES), "state": state, "access_type": "offline",
            "prompt": "consent", "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }  # fmt: skip
        address = settings.provider_url("https://accounts.google.com/o/oauth2/v2/auth")
        show(f"{address}?{urlencode(query)}")
        code = _await_code(server, state, timeout_s)
    return _exchange(settings, client_id, code, verifier, redirect)


def _await_code(server: _Loopback, state: str, timeout_s: float) -> str:
    import time

    deadline = time.monotonic() + timeout_s
    while server.answer is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise FatalError(f"no consent within {timeout_s:.0f} s; run the command again")
        server.timeout = left
        server.handle_request()
    answer = {name: values[0] for name, values in server.answer.items()}
    if not secrets.compare_digest(answer["state"], state):
        raise FatalError("the answer belongs to another request; run the command again")
    if "code" not in answer:
        raise FatalError(f"consent was refused: {answer.get('error', 'no code')[:100]}")
    return answer["code"]


def _exchange(settings: Settings, client_id: str, code: str, verifier: str, redirect: str) -> Grant:
    form = {
        "grant_type": "authorization_code", "client_id": client_id, "code": code,
        "client_secret": settings.require_credential("youtube_client_secret"),
        "code_verifier": verifier, "redirect_uri": redirect,
    }  # fmt: skip
    try:
        answer = httpx.post(
            settings.provider_url("https://oauth2.googleapis.com/token"), data=form, timeout=30,
            trust_env=not settings.uses_world,
        )  # fmt: skip
        granted = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ProviderError(f"the token endpoint does not answer: {error}") from error
    if answer.is_error or not granted.get("refresh_token"):
        reason = str(granted.get("error_description") or granted.get("error") or "no token")
        raise FatalError(f"no refresh token was granted: {reason[:200]}")
    scopes = str(granted.get("scope", "")).split()
    if missing := _NEEDED - set(scopes):
        raise FatalError(
            f"consent lacks {', '.join(sorted(missing))}; tick every box and try again"
        )
    return Grant(granted["refresh_token"], scopes)

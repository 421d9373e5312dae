"""Google's OAuth 2.0 consent and token endpoints of the world, and the tokens that they grant.

https://developers.google.com/identity/protocols/oauth2/web-server#offline (read 2026-11) and, for
the errors, https://www.rfc-editor.org/rfc/rfc6749#section-5.2; consent with a code challenge as on
https://developers.google.com/identity/protocols/oauth2/native-app (read 2026-11). The client's id
and secret are the world's key, which is taken as a refresh token, too. An access token holds for
an hour of the world's clock.
"""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.providers import google, tokens

SCOPES = (
    "https://www.googleapis.com/auth/youtube"
    " https://www.googleapis.com/auth/youtube.readonly"
    " https://www.googleapis.com/auth/youtube.upload"
    " https://www.googleapis.com/auth/youtube.force-ssl"
    " https://www.googleapis.com/auth/youtubepartner-channel-audit"
    " https://www.googleapis.com/auth/yt-analytics.readonly"
)
_PREFIX = "ya29."
_REFRESH = "1//"
_MINUTES = 60
_CODE_MINUTES = 10
_REFRESH_MINUTES = 10 * 525_600


class _GrantError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


def router(world: World) -> APIRouter:
    """The routes of consent and of tokens."""
    routes = APIRouter()

    @routes.get("/accounts.google.com/o/oauth2/v2/auth")
    async def consent(request: Request) -> Response:
        """The owner always consents."""
        call, query = read_call(request, world), request.query_params
        target = query.get("redirect_uri", "")
        if not tokens.same(query.get("client_id", ""), world.api_key):
            return Response("Error 401: invalid_client", 401)
        if urlsplit(target).hostname != "127.0.0.1" or query.get("response_type") != "code":
            return Response("Error 400: redirect_uri_mismatch", 400)
        challenge = query.get("code_challenge", "")
        code = "4/" + tokens.issue(
            world.api_key, _grant(challenge, target), call.asked + _CODE_MINUTES
        )
        back = {"state": query.get("state", ""), "code": code, "scope": query.get("scope", "")}
        return RedirectResponse(f"{target}?{urlencode(back)}", 302)

    @routes.post("/oauth2.googleapis.com/token")
    async def token(request: Request) -> Response:
        call = read_call(request, world)
        try:
            form = tokens.posted_form(request)
            _check(call, form)
        except _GrantError as error:
            body = encode(error.body)
            fault = call.status_fault()
            headers = fault[1] if fault and fault[0] == error.status else {}
            return await answer(call, lambda: body, error.status, headers)
        granted = {
            "access_token": access_token(call),
            "expires_in": _MINUTES * 60 - 1,
            "scope": SCOPES,
            "token_type": "Bearer",
        }
        if form["grant_type"] == "authorization_code":
            until = call.asked + _REFRESH_MINUTES
            granted["refresh_token"] = _REFRESH + tokens.issue(world.api_key, "refresh", until)
        return await answer(call, lambda: encode(granted), headers={"Cache-Control": "no-store"})

    return routes


def _check(call: Call, form: dict[str, str]) -> None:
    """Refuse a grant that is not one.

    Raises:
        _GrantError: as RFC 6749 names it.
    """
    if fault := call.status_fault():
        error = "rate_limit_exceeded" if fault[0] == 429 else "internal_failure"
        raise _GrantError(fault[0], error, "Backend Error")
    if "grant_type" not in form:
        raise _GrantError(400, "invalid_request", "Missing required parameter: grant_type")
    wanted = {"refresh_token": "refresh_token", "authorization_code": "code"}
    if form["grant_type"] not in wanted:
        grant = form["grant_type"]
        raise _GrantError(400, "unsupported_grant_type", f"Invalid grant_type: {grant}")
    if (name := wanted[form["grant_type"]]) not in form:
        raise _GrantError(400, "invalid_request", f"Missing required parameter: {name}")
    key = call.world.api_key
    if not tokens.same(form.get("client_id", ""), key):
        raise _GrantError(401, "invalid_client", "The OAuth client was not found.")
    if not tokens.same(form.get("client_secret", ""), key):
        raise _GrantError(401, "invalid_client", "Unauthorized")
    if form["grant_type"] == "authorization_code":
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        grant = _grant(challenge, form.get("redirect_uri", ""))
        if not tokens.is_valid(key, grant, form["code"].removeprefix("4/"), call.asked):
            raise _GrantError(400, "invalid_grant", "Malformed auth code.")
        return
    given = form["refresh_token"]
    issued = tokens.is_valid(key, "refresh", given.removeprefix(_REFRESH), call.asked)
    if not issued and not tokens.same(given, key):
        raise _GrantError(400, "invalid_grant", "Token has been expired or revoked.")


def _grant(challenge: str, redirect_uri: str) -> str:
    """What a code is bound to: the client's challenge (RFC 7636) and where it was sent."""
    return f"code:{challenge}:{redirect_uri}"


def access_token(call: Call) -> str:
    """A token that is granted at the call's moment."""
    return _PREFIX + tokens.issue(call.world.api_key, "google", call.asked + _MINUTES)


def has_token(call: Call, request: Request) -> bool:
    """Whether the owner's token came with a request.

    Raises:
        ApiError: 401 if one came that is not valid, or no longer.
    """
    query = request.query_params
    given = tokens.bearer(request.headers.get("Authorization"))
    given = given or query.get("access_token") or query.get("oauth_token") or ""
    if not given:
        return False
    token = given.removeprefix(_PREFIX)
    if not tokens.is_valid(call.world.api_key, "google", token, call.asked):
        raise google.token_invalid()
    return True

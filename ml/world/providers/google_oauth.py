"""Google's OAuth 2.0 token endpoint of the world, and the access tokens that it grants.

https://developers.google.com/identity/protocols/oauth2/web-server#offline (read 2026-11) and, for
the errors, https://www.rfc-editor.org/rfc/rfc6749#section-5.2. The client's id and secret and the
refresh token are all the world's key. An access token holds for an hour of the world's clock.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.providers import google, tokens

SCOPES = (
    "https://www.googleapis.com/auth/youtube.readonly"
    " https://www.googleapis.com/auth/yt-analytics.readonly"
)
_PREFIX = "ya29."
_MINUTES = 60


class _GrantError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


def router(world: World) -> APIRouter:
    """The route `/oauth2.googleapis.com/token`."""
    routes = APIRouter(prefix="/oauth2.googleapis.com")

    @routes.post("/token")
    async def token(request: Request) -> Response:
        call = read_call(request, world)
        try:
            _check(call, tokens.posted_form(request))
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
    if form["grant_type"] != "refresh_token":
        grant = form["grant_type"]
        raise _GrantError(400, "unsupported_grant_type", f"Invalid grant_type: {grant}")
    if "refresh_token" not in form:
        raise _GrantError(400, "invalid_request", "Missing required parameter: refresh_token")
    key = call.world.api_key
    if not tokens.same(form.get("client_id", ""), key):
        raise _GrantError(401, "invalid_client", "The OAuth client was not found.")
    if not tokens.same(form.get("client_secret", ""), key):
        raise _GrantError(401, "invalid_client", "Unauthorized")
    if not tokens.same(form["refresh_token"], key):
        raise _GrantError(400, "invalid_grant", "Token has been expired or revoked.")


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

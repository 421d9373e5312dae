"""Puts the protection around an application: routes, middleware, errors, OpenAPI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Form, Header, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.middleware.cors import CORSMiddleware

from ml.serving.security.callers import SCOPES
from ml.serving.security.credentials import read_basic
from ml.serving.security.edge import Edge
from ml.serving.security.errors import ApiError, Problem, answer_errors, problem_response
from ml.serving.security.guard import Guard, required_scope
from ml.serving.security.tokens import Tokens
from ml.settings import Settings

_EXPOSED = [
    "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy",
    "Retry-After", "X-Request-ID",
]  # fmt: skip
_SCHEMES: dict[str, Any] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Token": {
        "type": "oauth2",
        "description": "Authorization: Bearer TOKEN, from /auth/token",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/auth/token",
                "scopes": {scope: "" for scope in sorted(SCOPES)},
            }
        },
    },
}
_PROTECTED = {
    "400": "Several credentials, or a body that cannot be read",
    "401": "No credential, or none that is valid",
    "403": "The credential lacks the scope",
    "429": "The rate limit is reached, or the key is locked; see Retry-After",
    "503": "A service is away; see Retry-After",
}
_WITH_BODY = {"413": "The body is too large", "422": "The request is not valid"}


class Token(BaseModel):
    """An access token (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - not a password
    expires_in: int = Field(description="seconds")
    scope: str = Field(description="what it allows, separated by spaces")


router = APIRouter(tags=["auth"])


_TOKEN_EXAMPLE = {
    "access_token": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI0ZjJrIn0.c2lnbmF0dXJl",
    "token_type": "Bearer",
    "expires_in": 900,
    "scope": "models:read predict",
}
_JWKS_EXAMPLE = {
    "keys": [{"kty": "RSA", "kid": "5Ww", "use": "sig", "alg": "RS256", "n": "0vx7", "e": "AQAB"}]
}


def _example(value: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}


@router.post("/auth/token", response_model=Token, responses=_example(_TOKEN_EXAMPLE))
async def token(
    request: Request,
    grant_type: Annotated[str, Form(examples=["client_credentials"], max_length=64)],
    client_id: Annotated[str, Form(max_length=64, description="id of an API key")] = "",
    client_secret: Annotated[str, Form(max_length=256, description="its secret")] = "",
    scope: Annotated[str, Form(max_length=256, description="fewer than the key's")] = "",
    authorization: Annotated[str, Header(description="Basic ID:SECRET, instead")] = "",
) -> Token:
    """Exchange a key for a token that lives some minutes: OAuth 2.0 client credentials.

    Of a key `ytk_ID_SECRET` the parts are `client_id` and `client_secret`.
    """
    guard: Guard = request.app.state.security
    if guard.tokens is None:
        raise ApiError(503, "unavailable", "tokens are off: YTEMPIRE_API_JWT_KEY_FILE is not set")
    if grant_type != "client_credentials":
        raise ApiError(400, "unsupported_grant_type", "use the grant type client_credentials")
    if authorization:
        if client_id or client_secret:
            raise ApiError(400, "invalid_request", "send the secret once, not twice")
        client_id, client_secret = read_basic(authorization)
    caller = await guard.log_in(request, client_id, client_secret)
    scopes = frozenset(scope.split()) or caller.scopes
    if not scopes <= caller.scopes:
        raise ApiError(400, "invalid_scope", "the key does not have all of these scopes")
    return _token(guard.tokens, caller.id, scopes)


@router.get("/.well-known/jwks.json", responses=_example(_JWKS_EXAMPLE))
async def jwks(request: Request) -> dict[str, Any]:
    """The public keys that tokens are verified with (RFC 7517)."""
    guard: Guard = request.app.state.security
    return guard.tokens.jwks() if guard.tokens else {"keys": []}


def install(app: FastAPI, settings: Settings) -> None:
    """Protect `app`: what `require` needs, `/auth/token`, limits of size, headers, errors, CORS.

    Call it once, before the application starts; its life span closes what this opens.

    Raises:
        ConfigurationError: if a setting is not usable.
    """
    guard = app.state.security = Guard(settings)
    answer_errors(app)
    app.include_router(router)
    if settings.api_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.api_cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=_EXPOSED,
        )
    docs = [path for path in (app.docs_url, app.redoc_url) if path]
    app.add_middleware(Edge, most_bytes=settings.api_max_body_bytes, docs=docs)
    _close_at_the_end(app, guard)
    _describe(app)


def _token(tokens: Tokens, key_id: str, scopes: frozenset[str]) -> Token:
    return Token(
        access_token=tokens.issue(key_id, scopes),
        expires_in=tokens.lifetime_s,
        scope=" ".join(sorted(scopes)),
    )


def _close_at_the_end(app: FastAPI, guard: Guard) -> None:
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application: Any) -> AsyncIterator[Any]:
        try:
            async with inner(application) as state:
                yield state
        finally:
            await guard.close()

    app.router.lifespan_context = lifespan


def _describe(app: FastAPI) -> None:
    """Say in the OpenAPI document what `require` and `Edge` do."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        document = generate()
        if is_new:
            _amend(document, app)
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _amend(document: dict[str, Any], app: FastAPI) -> None:
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {}).update(_SCHEMES)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = components.setdefault("schemas", {})
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    scopes = dict(_required(app))
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            _amend_operation(operation, scopes.get((path, method)), path)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _amend_operation(operation: dict[str, Any], scope: str | None, path: str) -> None:
    responses = operation.setdefault("responses", {})
    # FastAPI announces its own shape for this one.
    wanted = {"422": _WITH_BODY["422"]} if "422" in responses else {}
    if "requestBody" in operation:
        wanted |= _WITH_BODY
    if scope is not None:
        operation["security"] = [{"ApiKey": []}, {"Token": [scope]}]
    if scope is not None or path == "/auth/token":
        wanted |= _PROTECTED
    for status, description in wanted.items():
        if status == "422" or status not in responses:
            responses[status] = problem_response(description)


def _required(app: FastAPI) -> Iterator[tuple[tuple[str, str], str]]:
    for route in app.routes:
        if not isinstance(route, APIRoute):
            continue
        for scope in _scopes(route.dependant):
            for method in route.methods:
                yield (route.path_format, method.lower()), scope


def _scopes(dependant: Dependant) -> Iterator[str]:
    for each in dependant.dependencies:
        if scope := required_scope(each.call):
            yield scope
        yield from _scopes(each)

"""Decides on every protected call: who it is, how often, and whether they may."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

import jwt
from starlette.requests import HTTPConnection

from ml.exceptions import ConfigurationError, ServiceUnavailableError
from ml.serving.security.audit import Event, Journal
from ml.serving.security.callers import SCOPES, Caller, Scope
from ml.serving.security.credentials import Credential, read_credential
from ml.serving.security.directory import KeyDirectory, Login, Record
from ml.serving.security.errors import ApiError
from ml.serving.security.keys import hash_secret, is_key_id, split_key
from ml.serving.security.limits import Limit, Limiter, LocalLimiter
from ml.serving.security.tokens import open_tokens
from ml.settings import Settings

# What one key may do on one route, by scope; the settings may say otherwise by scope or route.
_LIMITS = {
    "predict": Limit(120_000, 60),
    "generate": Limit(60, 60),
    "train": Limit(30, 60),
    "models:read": Limit(1_200, 60),
    "models:admin": Limit(60, 60),
    "metrics": Limit(1_200, 60),
}
_FAILURES = Limit(30, 60)
_LOGINS = Limit(120, 60)

Authorise = Callable[[HTTPConnection], Awaitable[Caller]]
_SCOPE_OF: dict[Any, str] = {}


@cache
def require(scope: Scope) -> Authorise:
    """A dependency of FastAPI that returns the caller, who has `scope`, or answers itself.

    It answers 400 (several credentials), 401, 403, 429, and 503 where no key can be read. Works for
    HTTP and WebSocket routes of an application that `install` prepared.

    Raises:
        ConfigurationError: if there is no such scope.
    """
    if scope not in SCOPES:
        raise ConfigurationError(f"unknown scope {scope!r}; known: {', '.join(sorted(SCOPES))}")

    async def authorise(connection: HTTPConnection) -> Caller:
        guard: Guard = connection.app.state.security
        return await guard.authorise(connection, scope)

    _SCOPE_OF[authorise] = scope
    return authorise


def required_scope(dependency: Any) -> str | None:
    """The scope that a dependency requires, if `require` made it."""
    return _SCOPE_OF.get(dependency)


class Guard:
    """Everything that decides, for one application.

    Raises:
        ConfigurationError: if a setting is not usable.
    """

    def __init__(self, settings: Settings) -> None:
        database_url = settings.api_database_url or settings.require("database_url")
        self.directory = KeyDirectory(database_url)
        self.journal = Journal(database_url)
        self.limiter = Limiter(settings.redis_url, settings.api_workers)
        self.tokens = open_tokens(settings)
        self._failures = LocalLimiter()
        self._limits = _read_limits(settings.api_rate_limits)

    async def close(self) -> None:
        """Write what waits and close every connection."""
        self.journal.close()
        self.directory.close()
        await self.limiter.close()

    async def authorise(self, connection: HTTPConnection, scope: str) -> Caller:
        """The caller of a request, who may do what `scope` says.

        Raises:
            ApiError: with the answer, if not.
        """
        caller: Caller | None = None
        try:
            caller = await self._identify(connection, read_credential(connection.scope["headers"]))
            await self._limit(connection, caller.id, scope)
            if scope not in caller.scopes:
                raise ApiError(
                    403,
                    "insufficient_scope",
                    f"the scope {scope} is needed",
                    headers={
                        "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'
                    },
                )
        except ApiError as refusal:
            key_id = refusal.key_id if caller is None else caller.id
            self._note(connection, "call_refused", refusal.reason, key_id)
            raise
        self.journal.used(caller.id)
        return caller

    async def log_in(self, connection: HTTPConnection, key_id: str, secret: str) -> Caller:
        """The caller whose id and secret these are; counts failures and limits attempts.

        Raises:
            ApiError: 401, or 429 for a locked key or too many attempts.
        """
        try:
            decision = await self.limiter.take(f"login:{_address(connection)}", _LOGINS)
            connection.scope["ytempire"]["headers"] = decision.headers()
            if not decision.allowed:
                raise ApiError(429, "rate_limited", "too many logins; wait")
            self._throttle(connection)
            login = await self._judge(key_id, hash_secret(secret))
            if login.outcome != "ok" or login.record is None:
                raise self._failed(connection, login, "invalid_client")
        except ApiError as refusal:
            self._note(connection, "login_failed", refusal.reason, refusal.key_id)
            raise
        caller = login.record.caller
        self._note(connection, "login_succeeded", "", caller.id)
        return caller

    def _note(
        self, connection: HTTPConnection, event: str, reason: str, key_id: str | None
    ) -> None:
        """Add to the audit log. Of what a caller sent only ids of existing keys are kept."""
        method = connection.scope.get("method", "WEBSOCKET")
        self.journal.record(
            Event(event, key_id, _address(connection), method, _route(connection), reason)
        )

    async def _identify(self, connection: HTTPConnection, credential: Credential) -> Caller:
        if credential.kind == "key":
            return (await self._by_key(connection, credential.value)).caller
        if self.tokens is None:
            raise ApiError(401, "invalid_token", "tokens are off here; use an API key")
        try:
            claims = self.tokens.verify(credential.value)
        except jwt.InvalidTokenError as error:
            self._throttle(connection, failed=True)
            raise ApiError(
                401, "invalid_token", "the token is not valid", reason=type(error).__name__
            ) from error
        found = await self._find(claims.key_id)
        if found is None or found.problem(time.time()):
            key_id = None if found is None else claims.key_id
            raise ApiError(
                401, "invalid_token", "the token's key is gone", reason="key_gone", key_id=key_id
            )
        whole = found.caller
        return Caller(whole.id, whole.roles, whole.scopes & claims.scopes)

    async def _by_key(self, connection: HTTPConnection, presented: str) -> Record:
        key_id, digest = split_key(presented)
        is_usable, record = self.directory.copy(key_id)
        if record is None:
            # Guesses at ids cost Postgres a question each: an address has few of them.
            self._throttle(connection)
        if record is None or not is_usable:
            record = await self._find(key_id)
        login = Login("unknown", None)
        if record is not None:
            login = await self._check(record, digest)
        if login.outcome != "ok" or login.record is None:
            raise self._failed(connection, login, "invalid_key")
        return login.record

    async def _check(self, record: Record, digest: bytes) -> Login:
        now = time.time()
        if record.locked_until > now:
            return Login("locked", record)
        if not record.matches(digest):
            return await self._judge(record.caller.id, digest)
        return Login(record.problem(now) or "ok", record)

    def _failed(self, connection: HTTPConnection, login: Login, error: str) -> ApiError:
        """The answer to a login that failed. It does not tell why, but for a lock."""
        key_id = None if login.record is None else login.record.caller.id
        if login.outcome == "locked" and login.record is not None:
            seconds = max(1, int(login.record.locked_until - time.time()))
            return ApiError(
                429,
                "locked",
                "this key was used with a wrong secret too often; wait or use another",
                headers={"Retry-After": str(seconds)},
                key_id=key_id,
            )
        self._throttle(connection, failed=True)
        return ApiError(
            401,
            error,
            "the key is unknown, expired or revoked",
            reason=login.outcome,
            key_id=key_id,
        )

    def _throttle(self, connection: HTTPConnection, *, failed: bool = False) -> None:
        """Stop an address that fails all the time, before it costs Postgres anything.

        Counted in this process alone, so that it holds whatever else is down.
        """
        address = _address(connection)
        if self._failures.exhausted(address, _FAILURES):
            raise ApiError(
                429,
                "rate_limited",
                "too many failed attempts; wait",
                headers={"Retry-After": str(int(_FAILURES.seconds / _FAILURES.calls) + 1)},
                reason="too_many_failures",
            )
        if failed:
            self._failures.take(address, _FAILURES)

    async def _find(self, key_id: str) -> Record | None:
        try:
            return await self.directory.find(key_id)
        except ServiceUnavailableError as error:
            raise _unavailable() from error

    async def _judge(self, key_id: str, digest: bytes) -> Login:
        if not is_key_id(key_id):
            return Login("unknown", None)
        try:
            return await self.directory.log_in(key_id, digest)
        except ServiceUnavailableError as error:
            raise _unavailable() from error

    async def _limit(self, connection: HTTPConnection, key_id: str, scope: str) -> None:
        route = _route(connection)
        limit = self._limits.get(route) or self._limits[scope]
        decision = await self.limiter.take(f"{key_id}:{route}", limit)
        connection.scope["ytempire"]["headers"] = decision.headers()
        if not decision.allowed:
            raise ApiError(429, "rate_limited", "the rate limit of this route is reached; wait")


def _unavailable() -> ApiError:
    return ApiError(
        503, "unavailable", "keys cannot be checked; try again", headers={"Retry-After": "1"}
    )


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


def _route(connection: HTTPConnection) -> str:
    """The route's template: a path would make as many quotas as it has values."""
    return str(getattr(connection.scope.get("route"), "path", ""))


def _read_limits(given: Mapping[str, str]) -> dict[str, Limit]:
    limits = dict(_LIMITS)
    for name, text in given.items():
        if name not in SCOPES and not name.startswith("/"):
            raise ConfigurationError(
                f"YTEMPIRE_API_RATE_LIMITS: {name!r} is neither a scope nor a route"
            )
        try:
            limits[name] = Limit.parse(text)
        except ValueError as error:
            raise ConfigurationError(
                f"YTEMPIRE_API_RATE_LIMITS: {name}: {error}; write CALLS/SECONDS, such as 600/60"
            ) from error
    return limits

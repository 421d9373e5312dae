"""The one HTTP client of all sources: timeouts, retries, limits, redaction, error mapping.

Every failure leaves as an exception of `ml.exceptions`, and no secret leaves at all: credentials
travel in headers, and whatever is logged, raised or stored has them removed.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, Self

import httpx
import tenacity

from ml.exceptions import ProviderError, QuotaExceededError, SourceUnavailableError
from ml.settings import Settings

log = logging.getLogger(__name__)

USER_AGENT = "ytempire/0.1 (trend ingestion)"
WORLD_NOW_HEADER = "X-World-Now"
_TIMEOUT = httpx.Timeout(20.0, connect=5.0)
_DEADLINE_S = 60.0  # of one response, however slowly it drips
_MAX_BYTES = 16 * 1024 * 1024
_ATTEMPTS = 5
_LONGEST_WAIT_S = 60.0  # a longer Retry-After is left to the scheduler, a worker must not sleep it
_SECRET_QUERY = re.compile(
    r"(?i)([?&](?:key|api_key|access_token|token|client_secret|password)=)[^&#\s]*"
)
_QUOTA_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded"})
_RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
_KEY_REASONS = frozenset({"API_KEY_INVALID", "keyInvalid", "keyExpired", "accessNotConfigured"})


@dataclass(frozen=True)
class Fetched:
    """One answer.

    Attributes:
        request: method and URL with the secrets removed.
        body: unchanged; empty when `not_modified`.
        etag: what to send as `etag` next time.
    """

    request: str
    body: bytes
    etag: str | None
    not_modified: bool
    arrived_at: datetime


class _FinalError(ProviderError):
    """A provider failure that the same call would only repeat at once."""


def is_world(settings: Settings, base_url: str) -> bool:
    """Whether a base URL belongs to the simulated world, so that its data is synthetic."""
    world = (settings.world_url or "").rstrip("/")
    return bool(world) and (base_url.rstrip("/") + "/").startswith(world + "/")


def observation_time(settings: Settings, base_url: str, end: datetime) -> datetime | None:
    """The time to ask the simulated world about (the interval's end); None for a real provider."""
    return end if is_world(settings, base_url) else None


class HttpClient:
    """A client of one provider; safe to share between threads.

    Args:
        source: id of the source, for messages.
        base_url: without a trailing slash; paths are appended to it.
        settings: to recognise the simulated world.
        credentials: headers that carry secrets.
        key_variable: environment variable to name when the credentials are refused.
        sleep: what waits between attempts.
    """

    def __init__(
        self,
        source: str,
        base_url: str,
        settings: Settings,
        *,
        credentials: Mapping[str, str] | None = None,
        key_variable: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # httpx logs whole URLs at INFO; a provider that wants its key there must not leak it.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.source = source
        self.is_world = is_world(settings, base_url)
        self._base_url = base_url.rstrip("/")
        self._key_variable = key_variable
        self._secrets = tuple(value for value in (credentials or {}).values() if value)
        self._sleep = sleep
        self._client = httpx.Client(
            headers={"User-Agent": USER_AGENT, **(credentials or {})},
            timeout=_TIMEOUT,
            follow_redirects=False,  # a redirect would carry the credentials to another host
            trust_env=not self.is_world,  # a proxy cannot reach the loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get_json(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        at: datetime | None = None,
        etag: str | None = None,
    ) -> Fetched:
        """Get a JSON document, retrying what may pass.

        Args:
            path: below the base URL.
            params: query parameters.
            at: the moment to ask the simulated world about; never sent to a real provider.
            etag: of an earlier answer; the result is `not_modified` if it still holds.

        Raises:
            ProviderError: if it keeps failing (5xx, 429, timeout, broken or oversized answer).
            QuotaExceededError: if the provider's quota is used up.
            SourceUnavailableError: if it refuses the credentials or the request.
        """
        headers = {"If-None-Match": etag} if etag else {}
        if at is not None and self.is_world:
            headers[WORLD_NOW_HEADER] = at.astimezone(UTC).isoformat()
        url = httpx.URL(f"{self._base_url}/{path.lstrip('/')}", params=dict(params or {}))
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=_wait,
            retry=tenacity.retry_if_exception(_worth_retrying),
            before_sleep=self._log_retry,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._get_once, url, headers)

    def _get_once(self, url: httpx.URL, headers: dict[str, str]) -> Fetched:
        request = self.redact(f"GET {url}")
        try:
            with self._client.stream("GET", url, headers=headers) as response:
                body = b"".join(_limited(response))
        except httpx.HTTPError as error:
            # `from None`: what httpx raises holds the request, with its credentials.
            detail = self.redact(str(error)) or "no detail"
            raise ProviderError(
                f"{self.source}: {type(error).__name__} ({detail}) on {request}; "
                "retry later or check the network"
            ) from None
        if response.status_code not in (200, 304):
            self._refuse(response, body, request)
        if response.status_code == 200:
            _check_complete(body, self.source, request)
        return Fetched(
            request=request,
            body=body,
            etag=response.headers.get("ETag"),
            not_modified=response.status_code == 304,
            arrived_at=datetime.now(UTC),
        )

    def _refuse(self, response: httpx.Response, body: bytes, request: str) -> NoReturn:
        """Raise what an error status means."""
        status, reasons = response.status_code, _reasons(body)
        what = f"{self.source}: HTTP {status} {'/'.join(sorted(reasons))} on {request}"
        what = self.redact(what)
        if reasons & _QUOTA_REASONS:
            raise QuotaExceededError(f"{what}; wait for the quota to reset or ask for a higher one")
        if status >= 500 or status in (408, 429) or reasons & _RATE_REASONS:
            raise ProviderError(
                f"{what}; retry later", retry_after_s=_retry_after(response.headers)
            )
        if status in (401, 403) or reasons & _KEY_REASONS:
            fix = f"check {self._key_variable}" if self._key_variable else "it refuses access"
            raise SourceUnavailableError(f"{what}; {fix}")
        raise SourceUnavailableError(f"{what}; it refuses the request: check the source's settings")

    def redact(self, text: str) -> str:
        """Remove secrets from a text that will be seen."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _SECRET_QUERY.sub(r"\1***", text)

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("attempt %d failed, trying again: %s", state.attempt_number, error)


def _limited(response: httpx.Response) -> Iterator[bytes]:
    """The body in pieces, up to the size limit and the deadline.

    Raises:
        ProviderError: beyond either; the size limit is not worth another attempt.
    """
    started, size = time.monotonic(), 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > _MAX_BYTES:
            raise _FinalError(f"an answer is larger than {_MAX_BYTES} bytes; ask for less at once")
        if time.monotonic() - started > _DEADLINE_S:
            raise ProviderError(f"an answer took longer than {_DEADLINE_S:g} s; retry later")
        yield piece


def _check_complete(body: bytes, source: str, request: str) -> None:
    """Refuse a body that is cut off, which a proxy can do without breaking the connection.

    Raises:
        ProviderError: if the body is not a JSON document.
    """
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        raise ProviderError(
            f"{source}: truncated or no JSON ({len(body)} bytes) on {request}; retry later"
        ) from None


def _reasons(body: bytes) -> set[str]:
    """Machine-readable reasons in an error body of Google's shape; empty for any other."""
    try:
        error: Any = json.loads(body)["error"]
        entries = [*error.get("errors", []), *error.get("details", [])]
        return {str(entry["reason"]) for entry in entries if "reason" in entry}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return set()


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait by a Retry-After header in either of its forms."""
    text = headers.get("Retry-After")
    if text is None:
        return None
    try:
        return max(float(text), 0.0) if text.strip().isdigit() or "." in text else _until(text)
    except (ValueError, OverflowError):
        return None


def _until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _worth_retrying(error: BaseException) -> bool:
    if not isinstance(error, ProviderError) or isinstance(error, _FinalError):
        return False
    return (error.retry_after_s or 0.0) <= _LONGEST_WAIT_S


_JITTERED = tenacity.wait_random_exponential(multiplier=0.5, max=20.0)


def _wait(state: tenacity.RetryCallState) -> float:
    """What the provider asks for, else exponential with full jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, ProviderError) else None
    return _JITTERED(state) if asked is None else asked

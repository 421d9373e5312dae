"""The one HTTP client of all sources: timeouts, retries, limits, redaction, error mapping.

Every failure leaves as an exception of `ml.exceptions`, and no secret leaves at all: credentials
travel in headers, and whatever is logged, raised or stored has them removed.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal, NoReturn, Self

import httpx
import pybreaker
import tenacity

from ml.exceptions import (
    NotFoundError,
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    SourceUnavailableError,
)
from ml.settings import Settings
from ml.sources.quota import Meter, Quota

log = logging.getLogger(__name__)

Expect = Literal["json", "xml", "html", "bytes"]

WORLD_NOW_HEADER = "X-World-Now"
_TIMEOUT = httpx.Timeout(20.0, connect=5.0)
_DEADLINE_S = 60.0  # of one response, however slowly it drips
MAX_BYTES = 16 * 1024 * 1024
_ATTEMPTS = 5
_LONGEST_WAIT_S = 60.0  # a longer Retry-After is left to the scheduler, a worker must not sleep it
_FIRST_TAG = re.compile(rb"<([A-Za-z][\w:.-]*)[\s>]")
_SECRET_QUERY = re.compile(
    r"(?i)([?&](?:key|api_key|access_token|token|client_secret|password)=)[^&#\s]*"
)
# Google says a used-up daily quota of a method as a 429 whose message names the limit.
_PER_DAY = re.compile(rb"(?i)per day")
_QUOTA_REASONS = frozenset(
    {"quotaExceeded", "dailyLimitExceeded", "daily_quota_limit_exceeded"}  # Google, TikTok
)
_RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
# X: the headers of this 429 tell of another limit, which is not used up.
_BUSY_REASONS = frozenset({"TooManyConnections"})
_KEY_REASONS = frozenset({"API_KEY_INVALID", "keyInvalid", "keyExpired", "accessNotConfigured"})


def user_agent(settings: Settings) -> str:
    """Who asks, with an address to complain to where one is set."""
    contact = f"; {settings.contact}" if settings.contact else ""
    return f"ytempire/0.1 (trend ingestion{contact})"


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The certificates of the machine; reading them takes longer than many a request."""
    return httpx.create_ssl_context()


@dataclass(frozen=True)
class Credentials:
    """What a provider wants to see of who asks.

    Attributes:
        headers: that carry secrets.
        query: parameters that carry secrets, where the provider knows no header for them.
        variable: environment variable to name when they are refused.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    variable: str = ""


NO_CREDENTIALS = Credentials()


@dataclass(frozen=True)
class Fetched:
    """One answer.

    Attributes:
        request: method and URL with the secrets removed.
        body: unchanged; empty when `not_modified`.
        validators: headers to send next time, to get the answer only if it has changed.
        fetched_at: when it arrived; in the simulated world, the moment that was asked about.
        headers: of the answer, names in lower case.
    """

    request: str
    body: bytes
    validators: Mapping[str, str]
    not_modified: bool
    fetched_at: datetime
    headers: Mapping[str, str]


class _FinalError(ProviderError):
    """A provider failure that the same call would only repeat at once."""


def is_world(settings: Settings, base_url: str) -> bool:
    """Whether an address belongs to the simulated world, so that its data is synthetic."""
    world = (settings.world_url or "").rstrip("/")
    return bool(world) and (base_url.rstrip("/") + "/").startswith(world + "/")


class HttpClient:
    """A client of one provider; safe to share between threads.

    Args:
        source: id of the source, for messages.
        base_url: the provider's address, without a trailing slash; paths are appended to it.
        settings: say whether the provider or something in its place is asked.
        credentials: what to present.
        breaker: makes the circuit breaker of a host.
        meter: counts calls that have a `cost`.
        min_interval_s: seconds between the starts of two requests.
        at: the moment to ask the simulated world about; never sent to a real provider.
        sleep: what waits between attempts.
    """

    def __init__(
        self,
        source: str,
        base_url: str,
        settings: Settings,
        *,
        credentials: Credentials = NO_CREDENTIALS,
        breaker: Callable[[str], pybreaker.CircuitBreaker],
        meter: Meter,
        min_interval_s: float = 0.0,
        at: datetime | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # httpx logs whole URLs at INFO; a provider that wants its key there must not leak it.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.source = source
        self._base_url = settings.provider_url(base_url).rstrip("/")
        self.is_world = is_world(settings, self._base_url)
        self._host = httpx.URL(base_url).host
        self._credentials = credentials
        self._secrets = _secrets(credentials)
        self._breaker = breaker
        self._meter = meter
        self._at = at if self.is_world else None
        self._sleep = sleep
        self._pace = _Pace(min_interval_s, sleep)
        self._client = httpx.Client(
            headers={"User-Agent": user_agent(settings), **credentials.headers},
            timeout=_TIMEOUT,
            # A redirect would carry the credentials to another host.
            follow_redirects=not self._secrets,
            max_redirects=5,
            trust_env=not self.is_world,  # a proxy cannot reach the loopback
            verify=_tls(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(
        self,
        path: str = "",
        params: Mapping[str, str | int] | None = None,
        *,
        expect: Expect = "json",
        validators: Mapping[str, str] | None = None,
        cost: tuple[Quota, int] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Fetched:
        """Get a document, retrying what may pass.

        Args:
            path: below the base URL; none asks for the base URL itself.
            params: query parameters.
            expect: the kind of document; one that is cut off is asked for again.
            validators: of an earlier answer; the result is `not_modified` if it still holds.
            cost: units of a quota that each attempt spends, booked before it.
            max_bytes: refuse a larger answer.

        Raises:
            NotFoundError: if there is nothing.
            ProviderError: if it keeps failing (5xx, 429, timeout, broken or oversized answer).
            QuotaExceededError: if the provider's quota is used up.
            SourceUnavailableError: if it refuses the credentials or the request.
        """
        url = self._url(path, params)
        sent = self._client.build_request("GET", url, headers=self._headers(validators))
        return self._send(sent, expect, cost, max_bytes)

    def post(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        content: Any = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        cost: tuple[Quota, int] | None = None,
    ) -> Fetched:
        """Post JSON (`content`) or a form and get JSON, as `get` does.

        Args:
            path: below the base URL.
            params: query parameters.
            content: JSON to send.
            form: fields to send.
            basic: user and password for HTTP basic authentication.
            cost: as for `get`.
        """
        headers = self._headers(None)
        if basic is not None:
            headers["Authorization"] = _basic(*basic)
        request = self._client.build_request(
            "POST", self._url(path, params), json=content, data=form, headers=headers
        )
        return self._send(request, "json", cost, MAX_BYTES)

    def open(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        timeout: httpx.Timeout = _TIMEOUT,
    ) -> tuple[str, httpx.Response]:
        """Get an answer of which the head alone has been read, for its body may have no end.

        One attempt: whoever listens asks again anyway. The caller closes the response.

        Args:
            path: below the base URL.
            params: query parameters.
            timeout: of the silence between two pieces, too.

        Returns:
            The request, method and URL with the secrets removed, and the response.

        Raises:
            ProviderError: if the provider fails.
            SourceUnavailableError: if it refuses the credentials or the request.
        """
        sent = self._client.build_request("GET", self._url(path, params), timeout=timeout)
        request = self.redact(f"{sent.method} {sent.url}")
        with self._failures(request):
            response = self._client.send(sent, stream=True)
            if response.status_code == 200:
                return request, response
            with closing(response):
                body = b"".join(_limited(response, MAX_BYTES))
        return self._refuse(response, body, request)

    def _url(self, path: str, params: Mapping[str, str | int] | None) -> httpx.URL:
        url = f"{self._base_url}/{path.lstrip('/')}" if path else self._base_url
        query = {**(params or {}), **self._credentials.query}
        return httpx.URL(url, params=query) if query else httpx.URL(url)

    def _headers(self, validators: Mapping[str, str] | None) -> dict[str, str]:
        asked = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
        headers = {asked[name]: value for name, value in (validators or {}).items()}
        if self._at is not None:
            headers[WORLD_NOW_HEADER] = self._at.astimezone(UTC).isoformat()
        return headers

    def _send(
        self,
        request: httpx.Request,
        expect: Expect,
        cost: tuple[Quota, int] | None,
        max_bytes: int,
    ) -> Fetched:
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=_wait,
            retry=tenacity.retry_if_exception(_worth_retrying),
            before_sleep=self._log_retry,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._attempt, request, expect, cost, max_bytes)

    def _attempt(
        self,
        request: httpx.Request,
        expect: Expect,
        cost: tuple[Quota, int] | None,
        max_bytes: int,
    ) -> Fetched:
        self._pace.wait()
        breaker = self._breaker(self._host)
        try:
            if cost is not None:
                self._meter.spend(*cost, self._at)
            fetched: Fetched = breaker.call(self._send_once, request, expect, max_bytes)
        except pybreaker.CircuitBreakerError:
            raise _FinalError(
                f"{self.source}: {self._host} kept failing and is left alone for a while;"
                " retry later",
                retry_after_s=float(breaker.reset_timeout),
            ) from None
        return fetched

    def _send_once(self, sent: httpx.Request, expect: Expect, max_bytes: int) -> Fetched:
        request = self.redact(f"{sent.method} {sent.url}")
        # What is posted may be a secret, and a redirect would carry it to another host.
        follow = False if sent.method == "POST" else httpx.USE_CLIENT_DEFAULT
        with (
            self._failures(request),
            closing(self._client.send(sent, stream=True, follow_redirects=follow)) as response,
        ):
            body = b"".join(_limited(response, max_bytes))
        if response.status_code not in (200, 201, 304):
            self._refuse(response, body, request)
        if response.status_code != 304 and not is_whole(body, expect):
            raise ProviderError(
                f"{self.source}: truncated or no {expect} ({len(body)} bytes) on {request};"
                " retry later"
            )
        return Fetched(
            request=request,
            body=body,
            validators={
                name: response.headers[name]
                for name in ("etag", "last-modified")
                if name in response.headers
            },
            not_modified=response.status_code == 304,
            fetched_at=self._at or datetime.now(UTC),
            headers={name.lower(): value for name, value in response.headers.items()},
        )

    @contextmanager
    def _failures(self, request: str) -> Iterator[None]:
        """Turn a failure of the connection into one of the provider."""
        try:
            yield
        except (httpx.HTTPError, httpx.StreamError) as error:
            # `from None`: what httpx raises holds the request, with its credentials.
            detail = self.redact(str(error)) or "no detail"
            raise ProviderError(
                f"{self.source}: {type(error).__name__} ({detail}) on {request}; "
                "retry later or check the network"
            ) from None

    def _refuse(self, response: httpx.Response, body: bytes, request: str) -> NoReturn:
        """Raise what an error status means."""
        status, reasons = response.status_code, _reasons(body)
        what = f"{self.source}: HTTP {status} {'/'.join(sorted(reasons))} on {request}"
        what = self.redact(what)
        if reasons & _QUOTA_REASONS:
            raise QuotaExceededError(f"{what}; wait for the quota to reset or ask for a higher one")
        if reasons & _BUSY_REASONS:
            raise ProviderError(f"{what}; another connection is open, this one has to wait")
        wait = _retry_after(response.headers)
        if status == 429 and _PER_DAY.search(body):
            raise QuotaExceededError(f"{what}; wait for the quota to reset or ask for a higher one")
        if status == 429 or reasons & _RATE_REASONS:
            wait = _window_reset(response.headers) if wait is None else wait
            raise RateLimitedError(f"{what}; retry later", retry_after_s=wait)
        if status >= 500 or status == 408:
            raise ProviderError(f"{what}; retry later", retry_after_s=wait)
        if status in (401, 403) or reasons & _KEY_REASONS:
            variable = self._credentials.variable
            fix = f"check {variable}" if variable else "it refuses access"
            raise SourceUnavailableError(f"{what}; {fix}")
        if status == 404:
            raise NotFoundError(f"{what}; nothing is there: check the source's settings")
        raise SourceUnavailableError(f"{what}; it refuses the request: check the source's settings")

    def redact(self, text: str) -> str:
        """Remove secrets from a text that will be seen."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _SECRET_QUERY.sub(r"\1***", text)

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("attempt %d failed, trying again: %s", state.attempt_number, error)


def _limited(response: httpx.Response, max_bytes: int) -> Iterator[bytes]:
    """The body in pieces, up to the size limit and the deadline.

    Raises:
        ProviderError: beyond either; the size limit is not worth another attempt.
    """
    started, size = time.monotonic(), 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > max_bytes:
            raise _FinalError(f"an answer is larger than {max_bytes} bytes; ask for less at once")
        if time.monotonic() - started > _DEADLINE_S:
            raise ProviderError(f"an answer took longer than {_DEADLINE_S:g} s; retry later")
        yield piece


def is_whole(body: bytes, expect: Expect) -> bool:
    """Whether a body is not cut off, which a proxy can do without breaking the connection."""
    if expect == "bytes":
        return True
    if expect == "json":
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            return False
        return True
    # The end of a document is that of its first element; caches add comments behind it.
    root, tail = _FIRST_TAG.search(body), body.rstrip()
    while tail.endswith(b"-->") and b"<!--" in tail:
        tail = tail[: tail.rfind(b"<!--")].rstrip()
    return root is not None and tail.endswith(b"</" + root[1] + b">")


def _secrets(credentials: Credentials) -> tuple[str, ...]:
    """What must never be seen: the values, and the token behind `Bearer`."""
    given = [*credentials.headers.values(), *credentials.query.values()]
    values = [part for value in given for part in (value, value.split(" ")[-1])]
    return tuple(sorted({value for value in values if value}, key=len, reverse=True))


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class _Pace:
    """Starts requests at least `interval_s` apart, over all threads of a client."""

    def __init__(self, interval_s: float, sleep: Callable[[float], None]) -> None:
        self._interval_s = interval_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        if not self._interval_s:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._interval_s
        if start > now:
            self._sleep(start - now)


def _reasons(body: bytes) -> set[str]:
    """Machine-readable reasons in an error body of Google's, TikTok's or X's shape, else none."""
    try:
        document: Any = json.loads(body)
        if "connection_issue" in document:
            return {str(document["connection_issue"])}
        error = document["error"]
        entries = [*error.get("errors", []), *error.get("details", [])]
        code = {error["code"]} if isinstance(error.get("code"), str) else set()
        return code | {str(entry["reason"]) for entry in entries if "reason" in entry}
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


def _window_reset(headers: httpx.Headers) -> float | None:
    """Seconds until a rate window starts anew: X gives the epoch second, Reddit the seconds."""
    epoch, seconds = headers.get("X-Rate-Limit-Reset", ""), headers.get("X-Ratelimit-Reset", "")
    if epoch.isdigit():
        return max(int(epoch) - time.time(), 0.0)
    return float(seconds) if seconds.replace(".", "", 1).isdigit() else None


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

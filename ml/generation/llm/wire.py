"""What the providers' SDKs have in common: addresses, timeouts, failures, answers piece by piece.

Both SDKs are made by one generator, so their errors have the same names and shapes. Their own
retries are off: they would wait as long as a Retry-After says, however long, and an attempt that
they make cannot be booked. `orchestrator` repeats instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from ml.exceptions import (
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    SourceUnavailableError,
)
from ml.generation.llm.interface import (
    DeclinedError,
    InterruptedAnswerError,
    Usage,
    estimate_tokens,
)
from ml.settings import Settings, variable
from ml.sources.http import is_world

DEADLINE_S = 120.0  # of one answer, however slowly it drips
_CONNECT_S = 5.0


@dataclass(frozen=True)
class Address:
    """Where a provider is asked, and with what.

    Attributes:
        url: base URL for the SDK.
        key: the credential; never shown.
        variable: environment variable to name when the key is refused.
        is_loopback: whether the simulated world answers, which no proxy can reach.
    """

    url: str
    key: str = field(repr=False)
    variable: str
    is_loopback: bool

    @property
    def host(self) -> str:
        """The host, without a user or password that the URL may carry."""
        return urlsplit(self.url).hostname or "?"


def address(settings: Settings, url: str, key_field: str) -> Address:
    """The address of a provider, or of what YTEMPIRE_PROVIDER_URLS puts in its place.

    The simulated world answers only where that setting sends the call there: a person with a key
    wants the model, whatever the sources are. Its own key goes there, and a real one never does.

    Raises:
        SourceUnavailableError: if there is no key; the message names the variable.
    """
    parts = urlsplit(url)
    instead = settings.provider_urls.get(parts.hostname or "")
    asked = instead.rstrip("/") + parts.path if instead else url
    in_world = is_world(settings, asked)
    secret = settings.world_key if in_world else getattr(settings, key_field)
    key = secret.get_secret_value() if secret else ""
    name = "world_key" if in_world else key_field
    if not key and key_field != "openai_compatible_api_key":
        raise SourceUnavailableError(f"set {variable(name)}")
    return Address(asked, key or "none", variable(name), in_world)


def http_client(silence_s: float, *, trust_env: bool) -> Any:
    """The SDKs' HTTP client: how long it waits for a connection and for the next piece."""
    import httpx2

    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they log whole URLs at INFO
    timeout = httpx2.Timeout(silence_s, connect=_CONNECT_S)
    return httpx2.Client(timeout=timeout, trust_env=trust_env, follow_redirects=False)


class Answer:
    """An answer that arrives in pieces, and what it has cost so far."""

    def __init__(self, prompt_tokens: int) -> None:
        self.pieces: list[str] = []
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.end: str | None = None
        self._asked = prompt_tokens
        self._started = time.monotonic()

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)

    @property
    def usage(self) -> Usage:
        """As the provider says, else estimated from what was sent and has come."""
        given, said = self.prompt_tokens, self.completion_tokens
        if self.end and given is not None and said is not None:
            return Usage(given, said)
        came = estimate_tokens(self.text) if self.text else 0
        return Usage(self._asked if given is None else given, max(said or 0, came), estimated=True)

    def check_time(self) -> None:
        """Make sure that the whole does not take too long; a ping is no answer.

        Raises:
            InterruptedAnswerError: if it does.
        """
        if time.monotonic() - self._started > DEADLINE_S:
            raise InterruptedAnswerError(
                f"an answer took longer than {DEADLINE_S:g} s", self.usage, timed_out=True
            )

    def check_end(self, who: str) -> None:
        """Make sure that the stream has said why it ended.

        Raises:
            InterruptedAnswerError: if it has not.
            SourceUnavailableError: if the model declined to answer.
        """
        if self.end is None:
            raise InterruptedAnswerError(f"{who}: the stream broke off; retry later", self.usage)
        if self.end in ("refusal", "content_filter"):
            raise DeclinedError(f"{who}: the model declined to answer", self.usage)


@contextmanager
def failures(sdk: ModuleType, who: str, key: str, usage: Callable[[], Usage]) -> Iterator[None]:
    """Turn what an SDK raises into our exceptions.

    `from None`, because what it raises holds the request with its credentials.

    Args:
        sdk: `openai` or `anthropic`.
        who: provider and host, for messages.
        key: variable to name when the key is refused.
        usage: what the answer may have cost by then.
    """
    import httpx2

    try:
        yield
    except sdk.APIStatusError as error:
        if error.status_code < 400:  # an error event in the middle of an answer
            kind = _kind(error.body)
            raise InterruptedAnswerError(f"{who}: {kind}; retry later", usage()) from None
        raise _refusal(error, who, key) from None
    except (sdk.APIConnectionError, httpx2.TransportError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout)):  # nothing was sent
            raise ProviderError(f"{who}: no connection; check the network") from None
        late = isinstance(cause, httpx2.TimeoutException)
        what = "no answer in time" if late else "the connection broke; retry later"
        raise InterruptedAnswerError(f"{who}: {what}", usage(), timed_out=late) from None
    except (sdk.APIError, httpx2.HTTPError, ValueError) as error:
        name = type(error).__name__
        raise InterruptedAnswerError(f"{who}: a broken answer ({name})", usage()) from None


def _refusal(error: Any, who: str, key: str) -> Exception:
    """What an error status means. The provider's own words stay out: they may quote the key."""
    status, kind = int(error.status_code), _kind(error.body)
    what = f"{who}: HTTP {status} {kind}".strip()
    wait = retry_after(error.response.headers)
    if kind in ("insufficient_quota", "billing_error") or status == 402:
        return QuotaExceededError(f"{what}; the account has no money left")
    if status == 429:
        return RateLimitedError(f"{what}; retry later", retry_after_s=wait)
    if status >= 500 or status in (408, 409):
        return ProviderError(f"{what}; retry later", retry_after_s=wait)
    if status in (401, 403):
        return SourceUnavailableError(f"{what}; check {key}")
    return SourceUnavailableError(f"{what}; it refuses the request: check the model's name")


def _kind(body: object) -> str:
    """The machine-readable kind of an error body; OpenAI's SDK has unwrapped it already."""
    error = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    return str(error.get("code") or error.get("type") or "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by a Retry-After header in either of its forms."""
    text = headers.get("retry-after", "")
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)

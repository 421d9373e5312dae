"""What hosted providers of generation have in common: a client, and what their refusals mean."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ml.exceptions import (
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    SourceUnavailableError,
)
from ml.generation.llm.wire import Address, retry_after
from ml.settings import Settings

if TYPE_CHECKING:
    import httpx


def client(where: Address, settings: Settings) -> httpx.Client:
    """An HTTP client of one provider; it follows no redirect, which would take the key along."""
    import httpx

    # It logs whole URLs at INFO, and one provider wants its key there.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.Client(
        timeout=httpx.Timeout(settings.llm_timeout_s, connect=5.0),
        trust_env=not where.is_loopback,
        follow_redirects=False,
    )


def refusal(name: str, answer: httpx.Response, fix: str) -> Exception:
    """What an error status means; the provider's own words stay out: they may quote the key.

    Args:
        name: of the provider.
        answer: with a status other than 200.
        fix: what to check where the provider refuses the request for good.
    """
    what, wait = f"{name}: HTTP {answer.status_code}", retry_after(answer.headers)
    if answer.status_code == 429:
        return RateLimitedError(f"{what}; retry later", retry_after_s=wait)
    if answer.status_code == 402:
        return QuotaExceededError(f"{what}; the account has no money left")
    if answer.status_code >= 500 or answer.status_code == 408:
        return ProviderError(f"{what}; retry later", retry_after_s=wait)
    return SourceUnavailableError(f"{what}; {fix}")

"""Which failures are worth another attempt at the same model, and after how long."""

from __future__ import annotations

from collections.abc import Callable

import tenacity

from ml.exceptions import ProviderError
from ml.generation.llm.interface import InterruptedAnswerError

_ATTEMPTS = 3
_LONGEST_WAIT_S = 20.0  # a longer Retry-After is not slept: the next model is asked instead
_JITTERED = tenacity.wait_random_exponential(multiplier=0.5, max=8.0)


class LeftAloneError(ProviderError):
    """A model kept failing and is not asked for a while."""


def retrying(sleep: Callable[[float], None]) -> tenacity.Retrying:
    """Up to three attempts, with the wait that the provider asks for, else exponential."""
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=_wait,
        retry=tenacity.retry_if_exception(_worth_it),
        sleep=sleep,
        reraise=True,
    )


def _worth_it(error: BaseException) -> bool:
    if not isinstance(error, ProviderError) or isinstance(error, LeftAloneError):
        return False
    if isinstance(error, InterruptedAnswerError) and error.timed_out:
        return False  # it has cost half a minute already
    return (error.retry_after_s or 0.0) <= _LONGEST_WAIT_S


def _wait(state: tenacity.RetryCallState) -> float:
    """What the provider asks for, else exponential with full jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, ProviderError) else None
    return _JITTERED(state) if asked is None else asked

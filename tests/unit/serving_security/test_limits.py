"""The local limiter: never more than its quota, and headers that say what is left."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.serving.security import limits
from ml.serving.security.limits import Limit, LocalLimiter


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@settings(deadline=None)
@given(
    st.integers(1, 20),
    st.floats(0.1, 100),
    st.lists(st.floats(0, 30), min_size=1, max_size=80),
)
def test_no_stretch_of_time_has_more_calls_than_quota_and_refill(
    calls: int, seconds: float, steps: list[float]
) -> None:
    clock, limit = Clock(), Limit(calls, seconds)
    limiter = LocalLimiter(clock)
    times: list[float] = []
    for step in steps:
        clock.now += step
        would_refuse = limiter.exhausted("key", limit)
        decision = limiter.take("key", limit)
        assert decision.allowed is not would_refuse
        assert 0 <= decision.remaining < calls
        if decision.allowed:
            times.append(clock.now)
        else:
            clock.now += decision.retry_s + 1e-6
            assert limiter.take("key", limit).allowed
            times.append(clock.now)
    for start, first in enumerate(times):
        for end in range(start, len(times)):
            most = calls + (times[end] - first) * calls / seconds
            assert end - start + 1 <= most + 1e-3


def test_headers_count_down_and_a_refusal_says_when() -> None:
    clock, limit = Clock(), Limit(3, 60)
    limiter = LocalLimiter(clock)
    left = [limiter.take("key", limit).headers()["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = limiter.take("key", limit)
    assert not refused.allowed
    assert refused.headers() == {
        "RateLimit-Limit": "3",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "60",
        "RateLimit-Policy": "3;w=60",
        "Retry-After": "20",
    }
    assert limiter.take("another", limit).allowed


def test_callers_without_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_KEYS", 100)
    limiter, limit = LocalLimiter(Clock()), Limit(1, 60)
    for number in range(1000):
        limiter.take(str(number), limit)
    assert len(limiter._whole) == 100
    assert not limiter.take("999", limit).allowed


@pytest.mark.parametrize("text", ["", "5", "0/60", "5/0", "5/-1", "5/inf", "5/nan", "a/b", "1.5/2"])
def test_a_limit_is_two_positive_numbers(text: str) -> None:
    assert Limit.parse("600/60") == Limit(600, 60.0)
    with pytest.raises(ValueError, match=r"."):
        Limit.parse(text)

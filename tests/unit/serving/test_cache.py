"""Keys, levels and single flight of the cache of answers."""

from __future__ import annotations

import asyncio
import json

import pytest
import redis.exceptions

from ml.serving.cache import PREDICTION_TTL_S, AnswerCache, cache_key


class Store:
    """The two commands that the cache uses of a Redis."""

    def __init__(self, *, away=False):
        self.kept, self.ttl, self.away, self.asked = {}, {}, away, 0

    async def get(self, key):
        self.asked += 1
        if self.away:
            raise redis.exceptions.ConnectionError
        return self.kept.get(key)

    async def set(self, key, value, ex):
        if self.away:
            raise redis.exceptions.ConnectionError
        self.kept[key], self.ttl[key] = value, ex


def counted():
    calls = []

    async def compute():
        calls.append(1)
        await asyncio.sleep(0.01)
        return {"answer": len(calls)}

    return compute, calls


def test_a_key_is_the_same_for_the_same_request_in_another_order_alone():
    key = cache_key("trend", {"a": 1, "b": [2]}, "trend_video_v1.0.0", [b"\x01"])
    assert key == cache_key("trend", {"b": [2], "a": 1}, "trend_video_v1.0.0", [b"\x01"])
    assert key.startswith("predictions:trend:")
    others = [
        cache_key("trend", {"a": 2, "b": [2]}, "trend_video_v1.0.0", [b"\x01"]),
        cache_key("trend", {"a": 1, "b": [2]}, "trend_video_v1.1.0", [b"\x01"]),
        cache_key("trend", {"a": 1, "b": [2]}, "trend_video_v1.0.0", [b"\x02"]),
    ]
    assert len({key, *others}) == 4


def test_many_who_ask_at_once_cost_one_computation():
    compute, calls = counted()

    async def ask():
        cache = AnswerCache(Store())
        return await asyncio.gather(*(cache.get("k", compute) for _ in range(20)))

    answers = asyncio.run(ask())
    assert calls == [1]
    assert [found for _, found in answers].count(False) == 1
    assert all(answer == {"answer": 1} for answer, _ in answers)


def test_another_process_finds_the_answer_in_redis_for_a_day():
    compute, _ = counted()
    store = Store()

    async def ask():
        await AnswerCache(store).get("k", compute)
        return await AnswerCache(store).get("k", compute)

    assert asyncio.run(ask()) == ({"answer": 1}, True)
    assert store.ttl["k"] == PREDICTION_TTL_S == 86_400
    assert json.loads(store.kept["k"]) == {"answer": 1}


def test_without_redis_it_computes_and_does_not_ask_it_again_at_once():
    compute, _ = counted()
    store = Store(away=True)

    async def ask():
        cache = AnswerCache(store)
        return [await cache.get(key, compute) for key in ("a", "b", "a")]

    assert [found for _, found in asyncio.run(ask())] == [False, False, True]
    assert store.asked == 1


def test_an_error_is_not_kept():
    async def ask():
        cache = AnswerCache(Store())

        async def fail():
            raise ValueError("once")

        with pytest.raises(ValueError, match="once"):
            await cache.get("k", fail)
        return await cache.get("k", counted()[0])

    assert asyncio.run(ask()) == ({"answer": 1}, False)


def test_the_oldest_answer_goes_first():
    async def ask():
        cache = AnswerCache(Store(), size=2)
        compute, calls = counted()
        for key in ("a", "b", "a", "c"):
            await cache.get(key, compute)
        return list(cache._kept), calls

    kept, calls = asyncio.run(ask())
    assert kept == ["a", "c"]
    assert len(calls) == 3

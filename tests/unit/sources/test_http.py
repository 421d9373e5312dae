from __future__ import annotations

import logging
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from ml.exceptions import (
    NotFoundError,
    ProviderError,
    QuotaExceededError,
    SourceUnavailableError,
)
from ml.settings import Settings
from ml.sources import http
from ml.sources.http import Credentials, HttpClient, is_world
from ml.sources.quota import MemoryMeter, Quota

from .conftest import KEY, LiveWorld, own_breaker, serve, world_settings

CHART = {"part": "id", "chart": "mostPopular", "regionCode": "US", "maxResults": 50}
NOW = datetime(2026, 1, 11, tzinfo=UTC)


def client(
    settings: Settings,
    naps: list[float] | None = None,
    key: str = KEY,
    base_url: str = "https://www.googleapis.com/youtube/v3",
    **options: Any,
) -> HttpClient:
    defaults: dict[str, Any] = {"breaker": own_breaker(), "meter": MemoryMeter(), "at": NOW}
    return HttpClient(
        "youtube",
        base_url,
        settings,
        credentials=Credentials({"X-Goog-Api-Key": key}, variable="YOUTUBE_API_KEY"),
        sleep=(naps if naps is not None else []).append,
        **(defaults | options),
    )


@pytest.mark.parametrize("fault", ["500", "503", "429;retry_after=3", "truncate", "cut"])
def test_passing_failures_are_retried_until_the_answer_is_whole(
    world: LiveWorld, fault: str
) -> None:
    naps: list[float] = []
    with client(world.settings) as http_client:
        whole = http_client.get("videos", CHART).body
    world.set_faults(f"{fault};times=2")
    with client(world.settings, naps) as http_client:
        assert http_client.get("videos", CHART).body == whole
    assert len(naps) == 2
    if fault.startswith("429"):
        assert naps == [3.0, 3.0]


@pytest.mark.parametrize("fault", ["500", "429;retry_after=0", "truncate", "cut"])
def test_lasting_failures_become_retriable_provider_errors(world: LiveWorld, fault: str) -> None:
    naps: list[float] = []
    world.set_faults(fault)
    with client(world.settings, naps) as http_client, pytest.raises(ProviderError) as caught:
        http_client.get("videos", CHART)
    assert len(naps) == 4
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_retry_after_is_handed_to_the_caller_instead_of_slept(world: LiveWorld) -> None:
    naps: list[float] = []
    world.set_faults("429;retry_after=3600")
    with client(world.settings, naps) as http_client, pytest.raises(ProviderError) as caught:
        http_client.get("videos", CHART)
    assert naps == []
    assert caught.value.retry_after_s == 3600


def test_used_up_quota_is_not_retried(world: LiveWorld) -> None:
    naps: list[float] = []
    world.set_faults("quota")
    with client(world.settings, naps) as http_client, pytest.raises(QuotaExceededError):
        http_client.get("videos", CHART)
    assert naps == []


@pytest.mark.parametrize("key", ["wrong-key", ""])
def test_refused_credentials_name_the_variable_and_not_the_key(world: LiveWorld, key: str) -> None:
    with (
        client(world.settings, key=key) as http_client,
        pytest.raises(SourceUnavailableError, match="check YOUTUBE_API_KEY") as caught,
    ):
        http_client.get("videos", CHART)
    assert "wrong-key" not in str(caught.value)


def test_bad_request_is_fatal_and_says_why(world: LiveWorld) -> None:
    with (
        client(world.settings) as http_client,
        pytest.raises(SourceUnavailableError, match="invalidRegionCode"),
    ):
        http_client.get("videos", {**CHART, "regionCode": "XX"})


def test_unreachable_provider_is_retriable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    naps: list[float] = []
    with (
        client(world_settings(url), naps) as http_client,
        pytest.raises(ProviderError, match="ConnectError"),
    ):
        http_client.get("videos")
    assert len(naps) == 4


def test_etag_gives_not_modified(world: LiveWorld) -> None:
    with client(world.settings) as http_client:
        first = http_client.get("videos", CHART)
        again = http_client.get("videos", CHART, validators=first.validators)
    assert not first.not_modified
    assert again.not_modified
    assert again.body == b""


def _echo() -> FastAPI:
    app = FastAPI()

    @app.get("/{path:path}")
    async def echo(request: Request, path: str) -> Response:
        if path.endswith("big"):
            return Response(b'"' + b"x" * 1000 + b'"')
        if path.endswith("elsewhere"):
            return Response(status_code=302, headers={"Location": "/headers"})
        import json

        return Response(json.dumps(dict(request.headers)))

    return app


def test_world_time_goes_to_the_world_only() -> None:
    with serve(_echo()) as url:
        simulated = world_settings(url)
        real = world_settings("http://127.0.0.1:1", provider_urls={"www.googleapis.com": url})
        for settings, expected in ((simulated, True), (real, False)):
            with client(settings) as http_client:
                sent = http_client.get("headers").body
            assert (b"x-world-now" in sent) is expected
            assert b"ytempire" in sent


def test_oversized_answer_is_refused_at_once() -> None:
    naps: list[float] = []
    with (
        serve(_echo()) as url,
        client(world_settings(url), naps) as http_client,
        pytest.raises(ProviderError, match="larger than 100 bytes"),
    ):
        http_client.get("big", max_bytes=100)
    assert naps == []


def test_redirects_are_not_followed_with_the_credentials() -> None:
    with serve(_echo()) as url:
        settings = world_settings(url)
        with (
            client(settings, base_url=url) as http_client,
            pytest.raises(SourceUnavailableError, match="HTTP 302"),
        ):
            http_client.get("elsewhere")


def test_secrets_are_removed_from_whatever_is_seen(
    world: LiveWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.set_faults("500;times=1")
    with client(world.settings) as http_client:
        fetched = http_client.get("videos", {**CHART, "key": KEY})
        assert http_client.redact("https://a/b?access_token=s3&x=1") == (
            "https://a/b?access_token=***&x=1"
        )
    assert KEY not in fetched.request
    assert "key=***" in fetched.request
    assert KEY not in "\n".join(r.getMessage() for r in caplog.records)


def test_retry_after_is_read_in_both_forms() -> None:
    later = format_datetime(datetime(2100, 1, 1, tzinfo=UTC), usegmt=True)
    assert http._retry_after(httpx.Headers({"Retry-After": "7"})) == 7
    assert (http._retry_after(httpx.Headers({"Retry-After": later})) or 0) > 1e6
    assert http._retry_after(httpx.Headers({"Retry-After": "soon"})) is None
    assert http._retry_after(httpx.Headers()) is None
    assert http._window_reset(httpx.Headers({"x-ratelimit-reset": "42.5"})) == 42.5
    assert (http._window_reset(httpx.Headers({"x-rate-limit-reset": "4102444800"})) or 0) > 1e6
    assert http._window_reset(httpx.Headers()) is None


def test_nothing_there_is_told_apart_from_a_refusal(world: LiveWorld) -> None:
    with client(world.settings) as http_client, pytest.raises(NotFoundError):
        http_client.get("nowhere")


def test_only_urls_below_the_world_count_as_the_world() -> None:
    settings = world_settings("http://127.0.0.1:80")
    assert is_world(settings, "http://127.0.0.1:80/youtube/v3")
    assert not is_world(settings, "http://127.0.0.1:8080/youtube/v3")
    assert not is_world(settings, "https://www.googleapis.com/youtube/v3")


def test_a_provider_that_keeps_failing_is_left_alone(world: LiveWorld) -> None:
    world.set_faults("500")
    breaker = own_breaker()
    for _ in range(2):
        with client(world.settings, breaker=breaker) as http_client, pytest.raises(ProviderError):
            http_client.get("videos", CHART)
    world.set_faults("")
    with (
        client(world.settings, breaker=breaker) as http_client,
        pytest.raises(ProviderError, match="left alone") as caught,
    ):
        http_client.get("videos", CHART)
    assert caught.value.retry_after_s == 120


def test_calls_are_booked_before_they_are_made(world: LiveWorld) -> None:
    quota = Quota("youtube", per_day=2)
    meter = MemoryMeter()
    with client(world.settings, meter=meter) as http_client:
        for _ in range(2):
            http_client.get("videos", CHART, cost=(quota, 1))
        with pytest.raises(QuotaExceededError, match="0 of 2 are left") as caught:
            http_client.get("videos", CHART, cost=(quota, 1))
    assert caught.value.resets_at == NOW + timedelta(days=1)
    assert meter.left(quota, NOW) == 0


def test_requests_keep_their_distance(world: LiveWorld) -> None:
    naps: list[float] = []
    with client(world.settings, naps, min_interval_s=5.0) as http_client:
        http_client.get("videos", CHART)
        http_client.get("videos", CHART)
    assert len(naps) == 1
    assert 4 < naps[0] <= 5


@pytest.mark.parametrize(
    ("expect", "whole"),
    [("xml", b"<?xml version='1.0'?><rss><a/></rss>\n"), ("html", b"<!doctype html><html></html>")],
)
def test_cut_documents_are_noticed(expect: Any, whole: bytes) -> None:
    assert http.is_whole(whole, expect)
    assert http.is_whole(whole + b"<!-- cached --><!-- 3 s -->", expect)
    for end in range(len(whole) - 1):
        assert not http.is_whole(whole[:end], expect)

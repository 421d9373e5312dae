"""X's filtered stream, over real HTTP against the simulated one."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import SecretStr

from ml.exceptions import ProviderError, RateLimitedError, SourceUnavailableError
from ml.settings import Settings
from ml.sources.base import Record
from ml.streaming.x import XPosts
from ml.world.server import create_app

KEY = "stream-key-1234567890"
AUTH = {"Authorization": f"Bearer {KEY}"}
RULES = "api.x.com/2/tweets/search/stream/rules"


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def world(state: Path, **changes: Any) -> Iterator[str]:
    settings = Settings(world_key=SecretStr(KEY), state_dir=state, world_faults="", **changes)
    with serve(create_app(settings)) as address:
        yield address


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A world that runs an hour in six seconds."""
    start = datetime(2026, 1, 10, 12, tzinfo=UTC)
    with world(tmp_path, world_speed=600.0, world_start=start) as address:
        yield address


@pytest.fixture
def listen() -> Iterator[Callable[..., XPosts]]:
    """Makes streams that are closed after the test."""
    made: list[XPosts] = []

    def start(url: str, *queries: str) -> XPosts:
        changes: dict[str, Any] = {"x_queries": queries or ("gaming", "Factorio OR tennis")}
        settings = Settings(world_url=url, world_key=SecretStr(KEY), world_faults="", **changes)
        made.append(XPosts(settings))
        return made[-1]

    yield start
    for stream in made:
        stream.close()


def rules(url: str) -> dict[str, str | None]:
    answer = httpx.get(f"{url}/{RULES}", headers=AUTH, trust_env=False).json()
    return {rule["value"]: rule.get("tag") for rule in answer.get("data", [])}


def faults(url: str, plan: str) -> None:
    put = httpx.put(f"{url}/admin/faults", content=plan, headers=AUTH, trust_env=False)
    assert put.status_code == 200


def found(stream: XPosts, seen: str = "") -> list[Any]:
    """What the next look finds that finds anything."""
    while (look := stream.look(seen)) is None:
        pass
    assert look.seen == look.pages[0].fetched_at.isoformat()
    return [row for page in look.pages for row in stream.source.parse(page)]


def ids(rows: list[Record]) -> set[int]:
    """Those of X, which grow with time."""
    return {int(row.values["record_id"]) for row in rows}


def test_posts_come_with_the_queries_that_they_match(url, listen):
    stream = listen(url)
    rows = [*found(stream), *found(stream)]
    assert len(rows) > 50
    assert all(isinstance(row, Record) for row in rows)
    times = [row.values["event_at"] for row in rows]
    assert times == sorted(times)
    assert times[-1] - times[0] > timedelta(minutes=10)
    payloads = [row.values["payload"] for row in rows]
    assert {tag for each in payloads for tag in each["queries"]} == {"gaming", "Factorio OR tennis"}
    assert all(("gaming" in each["text"].lower()) == ("gaming" in each["queries"])
               for each in payloads)  # fmt: skip
    assert all(each["author"] and each["language"] == "en" and each["likes"] == 0
               for each in payloads)  # fmt: skip


def test_a_page_is_what_came_and_names_no_secret(url, listen):
    (page,) = listen(url).look("").pages
    assert page.request.startswith(f"GET {url}/api.x.com/2/tweets/search/stream?")
    assert KEY not in page.request
    first = json.loads(page.body.split(b"\n")[0])
    assert set(first) == {"data", "matching_rules"}


def test_rules_follow_the_queries_and_those_of_others_stay(url, listen):
    foreign = {"add": [{"value": "the", "tag": "theirs"}, {"value": "chess"}]}
    httpx.post(f"{url}/{RULES}", json=foreign, headers=AUTH, trust_env=False)
    first = listen(url, "gaming", "tennis")
    found(first)
    assert rules(url) == {"the": "theirs", "chess": None, "gaming": "gaming", "tennis": "tennis"}
    first.close()
    second = listen(url, "tennis", "AI")
    rows = retried(lambda: found(second))
    assert rules(url) == {"the": "theirs", "chess": None, "tennis": "tennis", "AI": "AI"}
    # Posts of another's rule are kept, and name their tag.
    assert any("theirs" in row.values["payload"]["queries"] for row in rows)


def test_queries_that_x_refuses_are_named_and_the_others_run(url, listen, caplog):
    stream = listen(url, "is:retweet", "gaming")
    assert found(stream)
    assert rules(url) == {"gaming": "gaming"}
    assert "X does not take the query is:retweet" in caplog.text
    with pytest.raises(SourceUnavailableError, match="X_QUERIES"):
        listen(url, "is:retweet", "(").look("")


def test_a_second_connection_waits_until_the_first_has_gone(url, listen):
    first, second = listen(url), listen(url)
    found(first)
    with pytest.raises(ProviderError, match="another connection is open"):
        second.look("")
    first.close()
    assert retried(lambda: found(second))


def test_an_ended_connection_is_made_again_without_a_gap(tmp_path, listen):
    with world(tmp_path, world_scale=100.0) as url:
        stream = listen(url, "gaming OR AI OR the")
        before = found(stream)
        stream.close()
        faults(url, "truncate;path=tweet.fields")
        assert "is made again" in ended(stream)
        faults(url, "")
        after = ids(retried(lambda: found(stream)))
        # A minute may be more than one look, by how much is posted at this hour.
        while max(after) <= max(ids(before)):
            after |= ids(found(stream))
        stream.close()
    # It asks for the last minute again: what came twice shows that nothing was missed.
    assert len(before) > 3
    assert ids(before) & after


@pytest.mark.parametrize(
    ("plan", "error", "says"),
    [
        ("401", SourceUnavailableError, "X_BEARER_TOKEN"),
        ("429;retry_after=7", RateLimitedError, "HTTP 429"),
        ("503", ProviderError, "HTTP 503"),
    ],
)
def test_refusals_say_what_to_do_and_no_secret(url, listen, plan, error, says):
    faults(url, plan)
    with pytest.raises(error, match=says) as caught:
        listen(url).look("")
    assert KEY not in str(caught.value)


def test_malformed_lines_are_dead_letters_beside_the_posts(url, listen):
    stream = listen(url)
    found(stream)
    stream.close()
    faults(url, "malformed;rows=1")
    rows = retried(lambda: found(stream))
    assert 0 < sum(not isinstance(row, Record) for row in rows) < len(rows)


# What the simulated one does not do.


def provider(*lines: bytes, refuses: str = "", then: float = 0.0) -> tuple[FastAPI, list[str]]:
    """Knows one rule, and sends these bytes to whoever connects without the parameter refused."""
    app, asked = FastAPI(), []

    @app.get("/2/tweets/search/stream/rules")
    async def listed() -> Any:
        return {"data": [{"id": "1", "value": "gaming", "tag": "gaming"}], "meta": {}}

    @app.get("/2/tweets/search/stream")
    async def stream(request: Request) -> Response:
        asked.append(str(request.url.query))
        if refuses and refuses in request.query_params:
            return Response('{"title": "Invalid Request"}', 400)

        async def body() -> Any:
            import asyncio

            for line in lines:
                yield line
            await asyncio.sleep(then)

        return StreamingResponse(body())

    return app, asked


def direct(url: str) -> XPosts:
    own = {"provider_urls": {"api.x.com": url}, "x_bearer_token": SecretStr(KEY)}
    return XPosts(Settings(world_url=None, x_queries=("gaming",), **own))


def test_lines_are_whole_whatever_the_pieces_they_come_in():
    post = '{"data": {"id": "1", "text": "a\u2028b"}}'.encode()
    app, _ = provider(post[:30], post[30:] + b"\r", b"\n\r\n", post + b"\r\n" + post[:9])
    with serve(app) as url:
        stream = direct(url)
        (page,) = stream.look("").pages
        assert page.body.split(b"\n") == [post, post]  # the unfinished one is none
        with pytest.raises(ProviderError, match="made again"):
            stream.look("")
        stream.close()


def test_word_about_the_connection_ends_it_and_is_no_post():
    # https://docs.x.com/x-api/fundamentals/handling-disconnections (read 2026-11)
    said = {"errors": [{
        "title": "operational-disconnect", "disconnect_type": "UpstreamOperationalDisconnect",
        "detail": "This stream has been disconnected upstream for operational reasons.",
        "type": "https://api.x.com/2/problems/operational-disconnect",
    }]}  # fmt: skip
    app, _ = provider(b'{"data": {}}\r\n', json.dumps(said).encode() + b"\r\n", then=30.0)
    with serve(app) as url:
        stream = direct(url)
        (page,) = stream.look("").pages
        assert page.body == b'{"data": {}}'
        with pytest.raises(ProviderError, match="operational-disconnect"):
            stream.look("")
        stream.close()


def test_access_without_backfill_goes_on_without_it_and_says_what_is_lost(caplog):
    app, asked = provider(b'{"data": {}}\r\n', refuses="backfill_minutes")
    with serve(app) as url:
        stream = direct(url)
        an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        assert stream.look(an_hour_ago) is not None
        assert ["backfill_minutes=5" in query for query in asked] == [True, False]
        assert "posts in the last 1:00:0" in caplog.text
        with pytest.raises(ProviderError):
            stream.look(an_hour_ago)
        stream.look(an_hour_ago)
        assert "backfill_minutes" not in asked[-1]
        stream.close()


def test_connection_without_a_sound_is_given_up(monkeypatch):
    monkeypatch.setattr("ml.streaming.x_connection._TIMEOUT", httpx.Timeout(0.3))
    app, _ = provider(b"\r\n", then=30.0)
    with serve(app) as url:
        stream = direct(url)
        assert "ReadTimeout" in ended(stream)
        stream.close()


def ended(stream: XPosts) -> str:
    """Why the connection has ended, without a look that has found anything."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert retried(lambda: stream.look("")) is None
        except ProviderError as error:
            return str(error)
    raise AssertionError("it goes on")


def retried(call: Callable[[], Any]) -> Any:
    """What the call gives once the provider has seen that the connection before is gone."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return call()
        except ProviderError as error:
            if "another connection" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)

"""X's filtered stream: rules, and a connection that sends matching posts as they are made.

https://docs.x.com/x-api/posts/filtered-stream/quickstart,
https://docs.x.com/x-api/posts/filtered-stream/integrate/build-a-rule,
https://docs.x.com/x-api/fundamentals/consuming-streaming-data and
https://docs.x.com/x-api/posts/filtered-stream/integrate/recovery-and-redundancy-features (read
2026-11): one JSON object a line ending in CRLF, a blank line at least every 20 seconds, 409 without
a rule, one connection (another is refused with 429), 1000 rules of 1024 characters, up to 5
minutes of backfill.

Posts come as fast as the world's clock runs. A connection with `X-World-Now` starts at that moment
and goes on from there. Rules are the one thing that the world keeps in memory: a restart forgets
them. Faults strike what is sent: `malformed`, `duplicate` and `unordered` each batch, `truncate`
and `cut` end the connection inside a line.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ml.world import noise, x_posts
from ml.world import parameters as p
from ml.world.answers import Call, World, encode
from ml.world.clock import moment
from ml.world.faults import damage
from ml.world.providers.limits import RateLimit
from ml.world.providers.x_problems import (
    PROBLEMS,
    WINDOW_MIN,
    ProblemError,
    admit,
    check_names,
    chosen,
    invalid,
    refuse,
    respond,
    whole,
)
from ml.world.providers.x_query import QueryError

_MAX_RULES, _MAX_RULE = 1000, 1024
_KEEP_ALIVE_S = 20.0
_LOOK_S = 0.1
_POST_FIELDS = (
    "author_id", "created_at", "edit_history_tweet_ids", "id", "lang", "public_metrics", "text",
)  # fmt: skip
_ALWAYS = {"edit_history_tweet_ids", "id", "text"}
_STREAM_PARAMS = ("backfill_minutes", "tweet.fields", "expansions", "user.fields")


@dataclass
class Hub:
    """The rules of the app, and whether it is connected."""

    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    is_connected: bool = False


def add_routes(routes: APIRouter, world: World) -> None:
    """The routes below `/tweets/search/stream`."""
    hub = Hub()
    listing, changing, connecting = (RateLimit(n, WINDOW_MIN) for n in (450, 100, 50))

    @routes.get("/tweets/search/stream/rules")
    async def rules(request: Request) -> Response:
        return await respond(request, world, listing, lambda _: _rules(hub))

    @routes.post("/tweets/search/stream/rules")
    async def change(request: Request) -> Response:
        posted = await request.body()
        dry = request.query_params.get("dry_run", "false") == "true"
        return await respond(
            request, world, changing, lambda call: change_rules(call, hub, posted, dry_run=dry)
        )

    @routes.get("/tweets/search/stream")
    async def stream(request: Request) -> Response:
        try:
            call, headers = admit(request, world, connecting)
        except ProblemError as problem:
            return refuse(problem)
        try:
            sender = _connect(call, hub, request)
        except ProblemError as problem:
            problem.headers = headers
            return refuse(problem)
        sent = {"Content-Type": "application/json", "Cache-Control": "no-cache", **headers}
        return _Connection(sender, sent)


def _rules(hub: Hub) -> dict[str, Any]:
    meta = {"sent": _now(), "result_count": len(hub.rules)}
    return {"data": list(hub.rules.values()), "meta": meta} if hub.rules else {"meta": meta}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def change_rules(call: Call, hub: Hub, posted: bytes, *, dry_run: bool) -> dict[str, Any]:
    """Add rules, or delete some by id or value.

    Raises:
        ProblemError: 400 for a body of another shape.
    """
    try:
        body = json.loads(posted)
        if "delete" in body:
            return _delete(hub, body["delete"], dry_run=dry_run)
        added = [(str(rule["value"]), rule.get("tag")) for rule in body["add"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise invalid("body", "", "The request body must hold `add` or `delete`") from None
    return _add(call, hub, added, dry_run=dry_run)


def _delete(hub: Hub, wanted: dict[str, list[str]], *, dry_run: bool) -> dict[str, Any]:
    ids, values = set(wanted.get("ids", ())), set(wanted.get("values", ()))
    found = [key for key, rule in hub.rules.items() if key in ids or rule["value"] in values]
    if not dry_run:
        for key in found:
            del hub.rules[key]
    missed = len(ids) + len(values) - len(found)
    return {"meta": {"sent": _now(), "summary": {"deleted": len(found), "not_deleted": missed}}}


def _add(
    call: Call, hub: Hub, added: list[tuple[str, str | None]], *, dry_run: bool
) -> dict[str, Any]:
    created: list[dict[str, str]] = []
    errors: list[dict[str, Any]] = []
    for value, tag in added:
        rule_id = str(10**18 + noise.stream_key(call.world.seed, f"x:rule:{value}") % 10**18)
        problem = _rule_problem(value)
        if problem:
            errors.append({"value": value, "details": [problem], "title": "UnprocessableEntity",
                           "type": f"{PROBLEMS}/invalid-rules"})  # fmt: skip
        elif rule_id in hub.rules:
            errors.append({"value": value, "id": rule_id, "title": "DuplicateRule",
                           "type": f"{PROBLEMS}/duplicate-rules"})  # fmt: skip
        elif len(hub.rules) + dry_run * len(created) >= _MAX_RULES:
            raise ProblemError(422, {"title": "RulesCapExceeded", "type": f"{PROBLEMS}/rule-cap",
                                "detail": f"Rule capped at {_MAX_RULES} rules"})  # fmt: skip
        else:
            rule = {"id": rule_id, "value": value, **({"tag": str(tag)} if tag else {})}
            created.append(rule)
            if not dry_run:
                hub.rules[rule_id] = rule
    wrong = sum("details" in error for error in errors)
    summary = {
        "created": len(created), "not_created": len(errors),
        "valid": len(added) - wrong, "invalid": wrong,
    }  # fmt: skip
    body: dict[str, Any] = {"meta": {"sent": _now(), "summary": summary}}
    return body | ({"data": created} if created else {}) | ({"errors": errors} if errors else {})


def _rule_problem(value: str) -> str:
    if len(value) > _MAX_RULE:
        return f"Rule length must be at most {_MAX_RULE}"
    try:
        x_posts.matches(value)
    except QueryError as error:
        return str(error)
    return ""


def _connect(call: Call, hub: Hub, request: Request) -> _Sender:
    """Start a connection.

    Raises:
        ProblemError: 409 without a rule, 429 beside another connection, 400 for a parameter that X
            does not take.
    """
    params = request.query_params
    check_names(params, _STREAM_PARAMS)
    backfill = whole(params, "backfill_minutes", 0, 0, 5)
    fields = chosen(params, "tweet.fields", _POST_FIELDS, "") | _ALWAYS
    authors = "author_id" in chosen(params, "expansions", ("author_id",), "")
    if not hub.rules:
        raise _not_connected(
            409, "RuleConfigurationIssue", "You must define rules before connecting to the stream."
        )
    if hub.is_connected:
        raise _not_connected(
            429,
            "TooManyConnections",
            "This stream is currently at the maximum allowed connection limit.",
        )
    hub.is_connected = True
    return _Sender(call, hub, backfill, fields, authors)


def _not_connected(status: int, issue: str, detail: str) -> ProblemError:
    return ProblemError(status, {
        "title": "ConnectionException", "connection_issue": issue, "detail": detail,
        "type": f"{PROBLEMS}/streaming-connection",
    })  # fmt: skip


class _Connection(StreamingResponse):
    """A response that ends when the client goes; then another may be made."""

    def __init__(self, sender: _Sender, headers: dict[str, str]) -> None:
        super().__init__(sender.lines(), headers=headers)
        self._hub = sender.hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.is_connected = False


@dataclass
class _Sender:
    """One open connection."""

    call: Call
    hub: Hub
    backfill: int
    fields: set[str]
    authors: bool

    async def lines(self) -> AsyncIterator[bytes]:
        """What is sent, for as long as the client listens."""
        clock = self.call.world.clock
        ahead = self.call.minute - clock.minute()  # of the clock, where the client named a moment
        sent_until = self.call.hours - self.backfill / 60.0
        spoke = time.monotonic()
        while True:
            now = (clock.now() - p.WORLD_START).total_seconds() / 3600.0 + ahead / 60.0
            for post in self._batch(sent_until, now):
                line = encode(post) + b"\r\n"
                if self.call.faults.keys() & {"truncate", "cut"}:
                    yield line[: len(line) // 2]
                    raise ConnectionAbortedError("the fault plan ends this stream here")
                yield line
                spoke = time.monotonic()
            sent_until = max(sent_until, now)
            if time.monotonic() - spoke >= _KEEP_ALIVE_S:
                yield b"\r\n"
                spoke = time.monotonic()
            await asyncio.sleep(_LOOK_S)

    def _batch(self, start: float, end: float) -> list[Any]:
        """The posts made in between that match a rule."""
        if end <= start:
            return []
        posts = x_posts.between(self.call.world.seed, start, end)
        found: list[Any] = []
        hits = {key: x_posts.matching(posts, r["value"]) for key, r in self.hub.rules.items()}
        for row in range(len(posts.ids)):
            rules = [self.hub.rules[key] for key, hit in hits.items() if hit[row]]
            if rules:
                named = [{"id": r["id"], "tag": r.get("tag", "")} for r in rules]
                found.append({**self._post(posts, row), "matching_rules": named})
        return damage(found, self.call.faults, self.call.world.seed, f"{self.call.address}{start}")

    def _post(self, posts: x_posts.Posts, row: int) -> dict[str, Any]:
        seed, entity = self.call.world.seed, int(posts.ids[row])
        author = noise.pick(seed, "x:author", entity, p.X_AUTHORS)
        repeated = noise.pick(seed, "x:repeated", entity, p.X_AUTHORS)
        number = str(posts.number[row])
        said = x_posts.post_text(
            int(posts.wording[row]), int(posts.template[row]),
            repost_of=repeated if posts.is_repost[row] else None,
        )  # fmt: skip
        counts = ("retweet_count", "reply_count", "like_count", "quote_count", "impression_count")
        every: dict[str, Any] = {
            "id": number,
            "text": said,
            "edit_history_tweet_ids": [number],
            "author_id": str(10_000_000 + author),
            "created_at": moment(float(posts.created[row])).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "lang": "en",
            "public_metrics": dict.fromkeys((*counts, "bookmark_count"), 0),  # it is new
        }
        wanted = self.fields | ({"author_id"} if self.authors else set())
        post: dict[str, Any] = {"data": {n: v for n, v in every.items() if n in wanted}}
        if self.authors:
            user = {"id": every["author_id"], "name": f"User {author}", "username": f"user{author}"}
            post["includes"] = {"users": [user]}
        return post

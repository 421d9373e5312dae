"""The Hacker News API of the world: story lists and items.

Shapes: https://github.com/HackerNews/API (v0, read 2026-01, again 2026-11). Item ids are shared by
stories and comments as on Hacker News; comments are counted but not served: their ids answer null,
as unknown ones do, and stories come without the optional `kids`.

`updates` has the stories that are new or have other points or comments than five minutes ago, the
newest first, and their authors; the documentation does not say how far back it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import noise, stories
from ml.world import parameters as p
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.faults import damage
from ml.world.texts import share, story_title

_LISTS = ("topstories", "newstories", "beststories")
_UPDATED_MIN = 5
_UPDATED = 500  # at most


def router(world: World) -> APIRouter:
    """The routes below `/hacker-news.firebaseio.com/v0`."""
    routes = APIRouter(prefix="/hacker-news.firebaseio.com/v0")

    @routes.get("/item/{number}.json")
    async def item(request: Request, number: str) -> Response:
        return await _respond(request, world, lambda call: story_item(call, number))

    @routes.get("/{name}.json")
    async def listing(request: Request, name: str) -> Response:
        return await _respond(request, world, lambda call: named(call, name))

    return routes


async def _respond(request: Request, world: World, value: Callable[[Call], Any]) -> Response:
    call = read_call(request, world)
    if fault := call.status_fault():
        return await answer(call, lambda: encode({"error": "Try again later."}), *fault)
    return await answer(call, lambda: encode(value(call)))


def named(call: Call, name: str) -> Any:
    """A story list, `updates` or `maxitem`; null for any other name, as Firebase answers."""
    seed = call.world.seed
    if name == "maxitem":
        return int(p.FIRST_ITEM_ID + call.minute * stories.items_per_day(seed) // 1440)
    if name == "updates":
        return _updates(call)
    if name not in _LISTS:
        return None
    return damage(_story_list(call, name), call.faults, seed, call.address)


def _story_list(call: Call, name: str) -> list[int]:
    seed = call.world.seed
    if name == "topstories":
        return stories.ranked(seed, call.minute)
    recent = stories.recent(seed, call.minute)
    if name == "newstories":
        order = np.argsort(-recent.submitted, kind="stable")
    else:
        order = np.argsort(-stories.scores(recent, call.hours)[0], kind="stable")
    return [int(item) for item in recent.item[order[: p.TOP_STORIES]]]


def _updates(call: Call) -> dict[str, Any]:
    """What has changed of late."""
    recent = stories.recent(call.world.seed, call.minute)
    before = call.hours - _UPDATED_MIN / 60.0
    now, then = stories.scores(recent, call.hours), stories.scores(recent, before)
    changed = (recent.submitted > before) | (now[0] != then[0]) | (now[1] != then[1])
    rows = np.flatnonzero(changed)[::-1][:_UPDATED]
    authors = [author(call.world.seed, int(entity)) for entity in recent.ids[rows]]
    return {
        "items": [int(item) for item in recent.item[rows]],
        "profiles": list(dict.fromkeys(authors)),
    }


def author(seed: int, entity: int) -> str:
    """Who has submitted a story."""
    return f"reader{noise.pick(seed, 'story:author', entity, 15_000)}"


def story_item(call: Call, number: str) -> Any:
    """One story, or null."""
    if not (number.isascii() and number.isdigit()) or len(number) > 12:
        return None
    found = stories.find_story(call.world.seed, int(number), call.hours)
    if found is None:
        return None
    item = story(call.world.seed, found, call.hours)
    return damage([item], call.faults, call.world.seed, call.address)[-1]


def story(seed: int, found: stories.Stories, hours: float) -> dict[str, Any]:
    """A story of one row as Firebase has it at a time."""
    entity = int(found.ids[0])
    score, comments = stories.scores(found, hours)
    title = story_title(
        seed, entity, int(found.niche[0]), int(found.subject[0]), int(found.angle[0])
    )
    item: dict[str, Any] = {
        "by": author(seed, entity),
        "descendants": int(comments[0]),
        "id": int(found.item[0]),
        "score": int(score[0]),
        "time": int(stories.unix_time(found)[0]),
        "title": title,
        "type": "story",
    }
    if title.startswith(p.ASK_WITHOUT_URL):
        item["text"] = "I would like to hear what worked for you, and what did not."
    else:
        slug = "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())
        site = int(share(seed, "story:site", entity) ** 3 * 400)
        item["url"] = f"https://site{site}.example/{slug}-{entity % 4096}"
    return item

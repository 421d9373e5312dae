"""The Hacker News API of the world: story lists and items.

Shapes: https://github.com/HackerNews/API (v0, read 2026-01). Item ids are shared by stories and
comments as on Hacker News; comments are counted but not served: their ids answer null, as unknown
ones do, and stories come without the optional `kids`.
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
_UPDATED = 60


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
        return int(p.FIRST_ITEM_ID + call.minute * p.ITEMS_PER_DAY // 1440)
    if name == "updates":
        return {"items": stories.ranked(seed, call.minute)[:_UPDATED], "profiles": []}
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


def story_item(call: Call, number: str) -> Any:
    """One story, or null."""
    if not (number.isascii() and number.isdigit()) or len(number) > 12:
        return None
    found = stories.find_story(call.world.seed, int(number), call.hours)
    if found is None:
        return None
    item = _story(call, found)
    return damage([item], call.faults, call.world.seed, call.address)[-1]


def _story(call: Call, found: stories.Stories) -> dict[str, Any]:
    seed, entity = call.world.seed, int(found.ids[0])
    score, comments = stories.scores(found, call.hours)
    title = story_title(
        seed, entity, int(found.niche[0]), int(found.subject[0]), int(found.angle[0])
    )
    author = noise.pick(seed, "story:author", entity, 15_000)
    item: dict[str, Any] = {
        "by": f"reader{author}",
        "descendants": int(comments[0]),
        "id": int(found.item[0]),
        "score": int(score[0]),
        "time": int(p.WORLD_START.timestamp() + round(float(found.submitted[0]) * 3600)),
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

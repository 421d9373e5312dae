"""Hacker News' search API of the world: `/hn.algolia.com/api/v1/search_by_date` and `/search`.

Shapes as on https://hn.algolia.com/api (read 2026-11 from its source,
https://github.com/algolia/hn-search/blob/master/app/views/pages/api.html.haml), limits as in
https://github.com/algolia/hn-search/issues/125 and /230: at most 1,000 hits of a query over all of
its pages; a page beyond them has no hits, `nbHits` 0 and a message. Refusals have Algolia's shape,
`message` and `status`; their words are ours.

`search_by_date` lists the newest first, `search` those with most points. All words of `query` must
begin words of the title. Only stories are served, and without a lower bound of `created_at_i` only
those of the last days. Tags are `story`, `show_hn`, `ask_hn`, `front_page`, `author_NAME` and
`story_ID`; commas mean "and", in parentheses "or".
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import parameters as p
from ml.world import stories
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.faults import damage
from ml.world.providers.hackernews_api import author, story
from ml.world.texts import story_title

_MOST_HITS = 1000
_DAYS = 40  # that one query looks at
_LATE_DAYS = 7  # of them without a lower bound
_FRONT_PAGE = 30
_FILTER = re.compile(r"(created_at_i|points|num_comments)(>=|<=|>|<|=)(-?\d{1,15})(?:\.\d+)?")
_COMPARE: dict[str, Callable[[Any, int], Any]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
_BEYOND = (
    "you can only fetch the 1000 hits for this query. You can extend the number of hits returned"
    " via the paginationLimitedTo index parameter or use the browse method."
)

Params = Mapping[str, str]
Filters = list[tuple[str, str, int]]


class SearchError(Exception):
    """A request that is not understood."""


def router(world: World) -> APIRouter:
    """The routes below `/hn.algolia.com/api/v1`."""
    routes = APIRouter(prefix="/hn.algolia.com/api/v1")

    @routes.get("/search_by_date")
    async def by_date(request: Request) -> Response:
        return await _respond(request, world, by_date=True)

    @routes.get("/search")
    async def by_points(request: Request) -> Response:
        return await _respond(request, world, by_date=False)

    return routes


async def _respond(request: Request, world: World, *, by_date: bool) -> Response:
    call = read_call(request, world)
    if fault := call.status_fault():
        body = encode({"message": "Try again later", "status": fault[0]})
        return await answer(call, lambda: body, *fault)
    try:
        document = search(call, request.query_params, by_date=by_date)
    except SearchError as error:
        body = encode({"message": str(error), "status": 400})
        return await answer(call, lambda: body, 400)
    return await answer(call, lambda: encode(document))


def search(call: Call, params: Params, *, by_date: bool) -> dict[str, Any]:
    """A page of hits.

    Raises:
        SearchError: naming the parameter that is not understood.
    """
    per_page = min(_number(params, "hitsPerPage", 20), _MOST_HITS)
    page = _number(params, "page", 0)
    query = params.get("query", "")
    found = _found(call, params)
    points = stories.scores(found, call.hours)[0]
    order = np.argsort(-(found.submitted if by_date else points), kind="stable")
    total, start = len(order), page * per_page
    within = start < min(total, _MOST_HITS) or page == 0
    rows = order[start : min(start + per_page, _MOST_HITS)]
    hits = [_hit(call, found.take(np.array([row]))) for row in rows]
    document: dict[str, Any] = {
        "exhaustive": {"nbHits": True, "typo": True},
        "exhaustiveNbHits": True,
        "exhaustiveTypo": True,
        "hits": damage(hits, call.faults, call.world.seed, call.address),
        "hitsPerPage": per_page,
        "nbHits": total if within else 0,
        "nbPages": -(-min(total, _MOST_HITS) // per_page) if within and per_page else 0,
        "page": page,
        "params": urlencode(sorted(params.items())),
        "processingTimeMS": 4,
        "query": query,
    }
    return document if within else document | {"message": _BEYOND}


def _found(call: Call, params: Params) -> stories.Stories:
    """All stories that the parameters ask for."""
    filters = _filters(params.get("numericFilters", ""))
    found = _between(call, filters)
    points, comments = stories.scores(found, call.hours)
    columns = {
        "created_at_i": stories.unix_time(found), "points": points, "num_comments": comments,
    }  # fmt: skip
    kept = found.submitted <= call.hours
    for name, how, value in filters:
        kept &= _COMPARE[how](columns[name], value)
    found = found.take(np.flatnonzero(kept))
    words, wanted = _words(params.get("query", "")), _tags(params.get("tags", ""))
    if not words and wanted <= {frozenset({"story"})}:
        return found
    rows = [
        row
        for row in range(len(found.ids))
        if _matches(call, found, row, words) and _is_tagged(call, found, row, wanted)
    ]
    return found.take(np.array(rows, dtype=np.int64))


def _between(call: Call, filters: Filters) -> stories.Stories:
    """The stories of the days that the filters can mean."""

    def day(seconds: float) -> int:
        return math.floor((seconds - p.WORLD_START.timestamp()) / 86_400)

    bounds = {"low": [-math.inf], "high": [math.inf]}
    for name, how, value in filters:
        if name == "created_at_i":
            bounds["high" if how.startswith("<") else "low"].append(value)
            if how == "=":
                bounds["high"].append(value)
    today = math.floor(call.hours / p.HOURS_PER_DAY)
    high, low = min(bounds["high"]), max(bounds["low"])
    last = min(today, day(high)) if math.isfinite(high) else today
    first = day(low) - 1 if math.isfinite(low) else last - _LATE_DAYS
    days = [
        stories.stories_of_day(call.world.seed, each)
        for each in range(max(first, last - _DAYS), last + 1)
    ] or [stories.stories_of_day(call.world.seed, today).take(np.array([], dtype=np.int64))]
    columns = stories.Stories.__dataclass_fields__
    return stories.Stories(
        **{name: np.concatenate([getattr(each, name) for each in days]) for name in columns}
    )


def _number(params: Params, name: str, default: int) -> int:
    text = params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise SearchError(f'Invalid value for "{name}" parameter, expected a positive integer')
    return int(text)


def _filters(text: str) -> Filters:
    """The conditions of `numericFilters`; all of them must hold."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _FILTER.fullmatch(part)
        if match is None:
            raise SearchError(f"invalid numericFilters: {part}")
        found.append((match[1], match[2], int(match[3])))
    return found


def _tags(text: str) -> frozenset[frozenset[str]]:
    """The tags of which a hit needs one of each set."""
    if text.count("(") != text.count(")"):
        raise SearchError(f"invalid tags: {text}")
    groups = re.findall(r"\(([^()]*)\)|([^,()]+)", text)
    return frozenset(
        frozenset(tag.strip() for tag in (many or one).split(",") if tag.strip())
        for many, one in groups
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _title(call: Call, found: stories.Stories, row: int) -> str:
    where = (int(found.niche[row]), int(found.subject[row]), int(found.angle[row]))
    return story_title(call.world.seed, int(found.ids[row]), *where)


def _matches(call: Call, found: stories.Stories, row: int, words: list[str]) -> bool:
    there = _words(_title(call, found, row)) if words else []
    return all(any(word.startswith(asked) for word in there) for asked in words)


def _is_tagged(
    call: Call, found: stories.Stories, row: int, wanted: frozenset[frozenset[str]]
) -> bool:
    if not wanted - {frozenset({"story"})}:
        return True
    number = int(found.item[row])
    tags = {"story", f"author_{author(call.world.seed, int(found.ids[row]))}", f"story_{number}"}
    title = _title(call, found, row)
    tags |= {
        tag for tag in ("show_hn", "ask_hn") if title.lower().startswith(tag.replace("_", " "))
    }
    if number in stories.ranked(call.world.seed, call.minute)[:_FRONT_PAGE]:
        tags.add("front_page")
    return all(tags & group for group in wanted)


def _hit(call: Call, one: stories.Stories) -> dict[str, Any]:
    """A story as the search index has it."""
    item = story(call.world.seed, one, call.hours)
    created = datetime.fromtimestamp(item["time"], UTC)
    hit: dict[str, Any] = {
        "_highlightResult": {
            name: {"matchLevel": "none", "matchedWords": [], "value": value}
            for name, value in (("author", item["by"]), ("title", item["title"]))
        },
        "_tags": ["story", f"author_{item['by']}", f"story_{item['id']}"],
        "author": item["by"],
        "created_at": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "created_at_i": item["time"],
        "num_comments": item["descendants"],
        "objectID": str(item["id"]),
        "points": item["score"],
        "story_id": item["id"],
        "title": item["title"],
        "updated_at": f"{created:%Y-%m-%dT%H:%M:%SZ}",
    }
    if "url" in item:
        hit["url"] = item["url"]
    else:
        hit["story_text"] = item["text"]
    return hit

"""GDELT's DOC 2.0 API of the world: lists of news articles and their volume.

https://blog.gdeltproject.org/gdelt-doc-2-0-api-debuts/ (read 2026-11): `mode=artlist` lists at
most 250 articles (75 by default), `mode=timelinevolraw` counts them (`value`) beside all that GDELT
saw (`norm`), a point per 15 minutes below 72 hours, per hour up to a week, per day beyond; a
window is `timespan` or `startdatetime` and `enddatetime`, both included, by default the last three
months. A list that finds nothing is `{}`. What is wrong with a request is said as text with HTTP
200 ("Your query was too short or too long.", "Timespan is too short."), too many requests as text
with HTTP 429. Only `format=json` and these two modes are served; the words of their refusals are
ours. The world asks for no five seconds between requests: pace is for the real one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import news, noise
from ml.world import parameters as p
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.clock import moment
from ml.world.faults import damage

_TEXT = {"Content-Type": "text/html; charset=utf-8"}
_BUSY = "Please limit requests to one every 5 seconds or contact the project for larger queries."
_DEFAULT_RECORDS, _MOST_RECORDS = 75, 250
_THREE_MONTHS_H = 24.0 * 91
_SHORTEST_H = 0.99  # an hour, less the second by which an inclusive end falls short of it
_SPAN = re.compile(r"(\d{1,4})(min|m|h|hours|d|days|w|weeks|months)?")
_UNIT_H = {"min": 1 / 60, "h": 1.0, "hours": 1.0, "d": 24.0, "days": 24.0, "w": 168.0,
           "weeks": 168.0, "m": 730.0, "months": 730.0, None: 1 / 60}  # fmt: skip
_SORTS = ("", "datedesc", "dateasc", "hybridrel", "tonedesc", "toneasc")

Params = Mapping[str, str]


def router(world: World) -> APIRouter:
    """The route `/api.gdeltproject.org/api/v2/doc/doc`."""
    routes = APIRouter()

    @routes.get("/api.gdeltproject.org/api/v2/doc/doc")
    async def doc(request: Request) -> Response:
        call = read_call(request, world)
        if fault := call.status_fault():
            text = _BUSY if fault[0] == 429 else "Internal Server Error"
            return await answer(call, text.encode, fault[0], {**_TEXT, **fault[1]})
        params = {name.lower(): value for name, value in request.query_params.items()}
        try:
            document = _document(call, params)
        except news.QueryError as error:
            text = f"{error}\n"
            return await answer(call, text.encode, headers=_TEXT)
        return await answer(call, lambda: encode(document))

    return routes


def _document(call: Call, params: Params) -> dict[str, Any]:
    query = params.get("query", "")
    news.parse_query(query)
    if params.get("format", "html").lower() != "json":
        raise news.QueryError("Unsupported format: this world writes JSON only.")
    start, end = _window(call, params)
    match params.get("mode", "artlist").lower():
        case "artlist":
            return _list(call, params, query, start, end)
        case "timelinevolraw":
            return _timeline(call, query, start, end)
    raise news.QueryError("Invalid mode.")


def _window(call: Call, params: Params) -> tuple[float, float]:
    """Start and end in hours since the world's start, both included."""
    start, end = (_time(params.get(f"{name}datetime")) for name in ("start", "end"))
    if start is None:
        length = _length(params.get("timespan"))
        end = call.hours if end is None else end
        start = end - length
    end = call.hours if end is None else end
    if end - start < _SHORTEST_H:
        raise news.QueryError("Timespan is too short.")
    return start, min(end, call.hours)


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        time = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise news.QueryError("Invalid query start date.") from None
    return (time - p.WORLD_START).total_seconds() / 3600


def _length(text: str | None) -> float:
    if text is None:
        return _THREE_MONTHS_H
    found = _SPAN.fullmatch(text.lower())
    if found is None:
        raise news.QueryError("Invalid timespan.")
    return min(int(found[1]) * _UNIT_H[found[2]], _THREE_MONTHS_H)


def _list(call: Call, params: Params, query: str, start: float, end: float) -> dict[str, Any]:
    seed, size, sort = call.world.seed, _size(params), _sort(params)
    every = news.news_between(seed, start, end, call.hours)
    found = every.take(np.flatnonzero(news.matches(seed, query, every)))
    shown = found.take(_order(seed, sort, found)[:size])
    countries = news.site_countries(seed)
    articles = [_article(seed, shown, row, countries) for row in range(len(shown.ids))]
    if not articles:
        return {}
    return {"articles": damage(articles, call.faults, seed, call.address)}


def _size(params: Params) -> int:
    text = params.get("maxrecords", str(_DEFAULT_RECORDS))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_RECORDS:
        raise news.QueryError("Invalid number of records.")
    return int(text)


def _sort(params: Params) -> str:
    sort = params.get("sort", "").lower()
    if sort not in _SORTS:
        raise news.QueryError("Invalid sort.")
    return sort


def _order(seed: int, sort: str, found: news.News) -> noise.Ints:
    # Articles of one batch come in no order that means anything; nor do tone and relevance here.
    shuffled = noise.uniform(seed, "news:order", found.ids)
    keys = {"datedesc": -found.seen, "dateasc": found.seen}
    return np.lexsort((shuffled, keys.get(sort, shuffled)))


def _article(seed: int, shown: news.News, row: int, countries: noise.Ints) -> dict[str, str]:
    entity, site = int(shown.ids[row]), int(shown.site[row])
    where = (int(shown.niche[row]), int(shown.subject[row]), int(shown.angle[row]))
    title = news.headline(seed, entity, *where)
    seen = moment(float(shown.seen[row]))
    slug = "-".join(re.findall(r"\w+", title.lower()))
    host = news.domain(site)
    country = list(p.REGIONS)[int(countries[site])]
    return {
        "url": f"https://{host}/{seen:%Y/%m}/{slug}-{entity}",
        "url_mobile": "",
        "title": title,
        "seendate": f"{seen:%Y%m%dT%H%M%SZ}",
        "socialimage": f"https://{host}/images/{entity}.jpg",
        "domain": host,
        "language": "English",
        "sourcecountry": news.COUNTRIES[country],
    }


def _timeline(call: Call, query: str, start: float, end: float) -> dict[str, Any]:
    length = end - start
    name, step = ("15m", 0.25) if length < 72 else ("hour", 1.0) if length <= 168 else ("day", 24.0)
    seed = call.world.seed
    first = math.ceil(start / step) * step
    count = max(math.floor((end - first) / step) + 1, 0)
    values = norms = np.zeros(0, dtype=np.int64)
    if count:
        every = news.news_between(seed, first, end, call.hours)
        place = ((every.seen - first) / step).astype(np.int64)
        norms = np.bincount(place, minlength=count)
        values = np.bincount(place[news.matches(seed, query, every)], minlength=count)
    points = [
        {
            "date": f"{moment(first + step * index):%Y%m%dT%H%M%SZ}",
            "value": int(values[index]),
            "norm": int(norms[index]),
        }
        for index in range(count)
    ]
    return {
        "query_details": {"title": query, "date_resolution": name},
        "timeline": [
            {
                "series": "Article Count",
                "data": damage(points, call.faults, seed, call.address),
            }
        ],
    }

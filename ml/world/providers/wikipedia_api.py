"""Wikimedia's page views of the world: the daily figures of the Analytics API and hourly dumps.

API: https://doc.wikimedia.org/generated-data-platform/aqs/analytics-api/reference/page-views.html
and https://wikitech.wikimedia.org/wiki/Analytics/AQS/Pageview_API (read 2026-11): `top` takes a
project, an access and a day; `per-article` an agent and a range of days as well, leaves out days
without views, and writes times as YYYYMMDD00. What is not loaded yet, an unknown project and an
unknown title all answer the same 404; a path of another form answers `invalid route`. A user agent
is wanted of every client. Titles hold underscores, percent-encoded, slashes included. Months are
not served here: they answer as if not loaded.

Dumps: https://wikitech.wikimedia.org/wiki/Analytics/Data_Lake/Traffic/Pageviews (read 2026-11):
gzip of `domain_code page_title count_views total_response_size` lines, sorted by domain code, the
last column always 0, one file an hour, named by the hour's end; `en` is the desktop and `en.m` the
mobile site of the English Wikipedia.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import numpy as np
from fastapi import APIRouter, Request, Response

from ml.world import articles
from ml.world import parameters as p
from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.faults import damage

_API = "/wikimedia.org/api/rest_v1/metrics/pageviews"
_DUMPS = "/dumps.wikimedia.org/other/pageviews"
_ACCESS = ("all-access", "desktop", "mobile-app", "mobile-web")
_AGENTS = ("all-agents", "user", "spider", "automated")
_NO_DATA = (
    "The date(s) you used are valid, but we either do not have data for those date(s), or the "
    "project you asked for is not loaded yet. Please check documentation for more information."
)
_INVALID_DATE = "Given year/month/day is invalid date"
_FIRST_DAY = date(2025, 1, 1)  # the provider's figures begin on 1 July 2015
_DUMP = re.compile(r"(\d{4})/\1-(\d\d)/pageviews-\1\2(\d\d)-(\d\d)0000\.gz")
_HTML = {"Content-Type": "text/html; charset=utf-8"}
_START = p.WORLD_START.date()


class _Problem(Exception):  # noqa: N818 - named as the provider and RFC 7807 do
    """A refusal in the API's own shape."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def router(world: World) -> APIRouter:
    """The routes below `/wikimedia.org` and `/dumps.wikimedia.org`."""
    routes = APIRouter()

    @routes.get(_API + "/{rest:path}")
    async def pageviews(request: Request) -> Response:
        return await _respond(request, world, _pageviews)

    @routes.get(_DUMPS + "/{path:path}")
    async def dump(request: Request) -> Response:
        return await _respond(request, world, _dump)

    return routes


async def _respond(
    request: Request,
    world: World,
    value: Callable[[Call, list[str]], tuple[Callable[[], bytes], dict[str, str]]],
) -> Response:
    """Answer by the path as it was sent: decoded, a slash in a title would look like another."""
    call = read_call(request, world)
    raw = request.scope["raw_path"].partition(b"?")[0].decode("ascii", "replace")
    if not request.headers.get("User-Agent"):
        page = b"<html><title>Error</title><p>Please set a user-agent.</p></html>"
        return await answer(call, lambda: page, 403, _HTML)
    if fault := call.status_fault():
        page = f"<html><title>Wikimedia Error</title><p>Error {fault[0]}</p></html>".encode()
        return await answer(call, lambda: page, fault[0], {**_HTML, **fault[1]})
    try:
        body, headers = value(call, [unquote(part) for part in raw.split("/")])
    except _Problem as problem:
        if raw.startswith(_DUMPS):
            page = b"<html><title>404 Not Found</title><h1>404 Not Found</h1></html>"
            return await answer(call, lambda: page, problem.status, _HTML)
        content = _problem(problem, raw)
        kind = {"Content-Type": "application/problem+json"}
        return await answer(call, lambda: content, problem.status, kind)
    return await answer(call, body, headers=headers)


def _problem(problem: _Problem, uri: str) -> bytes:
    titles = {400: "Bad Request", 404: "Not Found"}
    return encode({
        "status": problem.status, "type": "about:blank", "title": titles[problem.status],
        "method": "get", "detail": problem.detail,
        "uri": uri.removeprefix("/wikimedia.org/api/rest_v1"),
    })  # fmt: skip


def _pageviews(call: Call, parts: list[str]) -> tuple[Callable[[], bytes], dict[str, str]]:
    arguments = parts[_API.count("/") + 1 :]
    match arguments:
        case ["top", project, access, year, month, day]:
            document = _top(call, _project(project), access, (year, month, day))
        case ["per-article", project, access, agent, title, "daily" | "monthly" as step, *times]:
            if len(times) != 2:
                raise _Problem(404, "invalid route")
            if step == "monthly":
                raise _Problem(404, _NO_DATA)
            document = _history(call, _project(project), (access, agent), title, times)
        case _:
            raise _Problem(404, "invalid route")
    headers = {
        "Content-Type": "application/json; charset=utf-8", "Cache-Control": "s-maxage=14400",
    }  # fmt: skip
    return lambda: encode(document), headers


def _project(text: str) -> str:
    """The project without its last part; both spellings are understood."""
    return text.lower().removeprefix("www.").removesuffix(".org")


def _allowed(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _Problem(
            400, f"{name} should be equal to one of the allowed values: [{', '.join(known)}]"
        )


def _top(call: Call, project: str, access: str, parts: tuple[str, str, str]) -> dict[str, Any]:
    """The most viewed articles of a day."""
    _allowed("access", access, _ACCESS)
    year, month, number = parts
    if number == "all-days":
        raise _Problem(404, _NO_DATA)
    try:
        day = date.fromisoformat(f"{year}-{month}-{number}")
    except ValueError:
        raise _Problem(400, _INVALID_DATE) from None
    if not _is_loaded(call, project, day):
        raise _Problem(404, _NO_DATA)
    listed = _ranked(call.world.seed, project, access, (day - _START).days)
    items = damage(listed, call.faults, call.world.seed, call.address)
    return {
        "items": [
            {
                "project": project, "access": access, "year": year, "month": month, "day": number,
                "articles": items,
            }
        ]
    }  # fmt: skip


@lru_cache(maxsize=32)
def _ranked(seed: int, project: str, access: str, day: int) -> list[dict[str, Any]]:
    views = articles.by_access(articles.daily_views(seed, project, day), access)
    titles = articles.articles(seed).titles
    best = np.argsort(-views, kind="stable")[: p.TOP_ARTICLES]
    return [
        {"article": titles[index], "views": int(views[index]), "rank": rank}
        for rank, index in enumerate(best, start=1)
    ]


def _is_loaded(call: Call, project: str, day: date) -> bool:
    if project not in p.WIKIPEDIA_PROJECTS or day < _FIRST_DAY:
        return False
    number = (day - _START).days
    return articles.day_published(call.world.seed, project, number) <= call.hours


def _history(
    call: Call, project: str, who: tuple[str, str], title: str, times: list[str]
) -> dict[str, Any]:
    """Daily views of one article."""
    _allowed("access", who[0], _ACCESS)
    _allowed("agent", who[1], _AGENTS)
    days = [_day(name, text) for name, text in zip(("start", "end"), times, strict=True)]
    if days[0] > days[1]:
        raise _Problem(400, "start timestamp should be before the end timestamp")
    index = articles.articles(call.world.seed).index(title)
    if index is None or project not in p.WIKIPEDIA_PROJECTS or who[1] in ("spider", "automated"):
        raise _Problem(404, _NO_DATA)  # all readers of the world are people
    span = range((days[0] - _START).days, (days[1] - _START).days + 1)
    loaded = [n for n in span if _is_loaded(call, project, _START + timedelta(days=n))]
    items = [
        {
            "project": project, "article": title, "granularity": "daily",
            "timestamp": f"{_START + timedelta(days=n):%Y%m%d}00", "access": who[0],
            "agent": who[1], "views": views,
        }
        for n in loaded
        if (views := _views(call.world.seed, project, n, who[0], index))
    ]  # fmt: skip
    if not items:
        raise _Problem(404, _NO_DATA)
    return {"items": damage(items, call.faults, call.world.seed, call.address)}


def _views(seed: int, project: str, day: int, access: str, index: int) -> int:
    views = articles.daily_views(seed, project, day)[index : index + 1]
    return int(articles.by_access(views, access)[0])


def _day(name: str, text: str) -> date:
    """A day written as YYYYMMDD or with an hour, which does not count."""
    try:
        if len(text) not in (8, 10) or not text.isascii() or not text.isdigit():
            raise ValueError
        return datetime.strptime(text[:8], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        detail = f"{name} timestamp is invalid, must be a valid date in YYYYMMDD format"
        raise _Problem(400, detail) from None


def _dump(call: Call, parts: list[str]) -> tuple[Callable[[], bytes], dict[str, str]]:
    end = _dump_end("/".join(parts[_DUMPS.count("/") + 1 :]))
    hour = round((end - p.WORLD_START).total_seconds() / 3600)
    if articles.hour_published(call.world.seed, hour) > call.hours:
        raise _Problem(404, "not there yet")

    def body() -> bytes:
        lines = damage(_lines(call.world.seed, hour), call.faults, call.world.seed, call.address)
        return gzip.compress(b"".join(_line(line) for line in lines), compresslevel=4, mtime=0)

    return body, {"Content-Type": "application/octet-stream"}


def _dump_end(path: str) -> datetime:
    """The end of the hour that a file is of."""
    if found := _DUMP.fullmatch(path):
        try:
            return datetime.strptime("".join(found.groups()), "%Y%m%d%H").replace(tzinfo=UTC)
        except ValueError:
            pass
    raise _Problem(404, "there is no such file")


def _line(value: bytes | dict[str, bytes]) -> bytes:
    """A line; a broken one has lost its last two columns."""
    if isinstance(value, bytes):
        return value
    return value["unexpected"].rsplit(b" ", 2)[0] + b"\n"


@lru_cache(maxsize=4)
def _lines(seed: int, hour: int) -> list[bytes]:
    """The lines of the hour that ends at `hour`, sorted by domain code."""
    day, place = divmod(hour - 1, 24)
    titles = articles.articles(seed).titles
    sites = {
        project.removesuffix(".wikipedia") + suffix: (project, access)
        for project in p.WIKIPEDIA_PROJECTS
        for suffix, access in (("", "desktop"), (".m", "mobile-web"))
    }
    lines = []
    for code, (project, access) in sorted(sites.items()):
        views = articles.by_access(articles.hourly_views(seed, project, day)[place], access)
        lines += [
            f"{code} {titles[index]} {views[index]} 0\n".encode() for index in np.flatnonzero(views)
        ]
    return lines

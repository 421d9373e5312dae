"""Google Trends' feed of what trends now.

`trends.google.com/trending/rss?geo=US`: shape of public recordings (read 2026-11), because Google
describes the page and not its feed. RSS 2.0 with the namespace
`https://trends.google.com/trending/rss`; traffic is a lower bound such as "200+", "20K+" or "1M+";
times are those of California. What it answers for a region that it does not have is our guess: an
error page with status 400.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

from fastapi import APIRouter, Request, Response

from ml.world import noise
from ml.world.answers import Call, World, answer, read_call
from ml.world.clock import iso
from ml.world.faults import damage
from ml.world.trends import Trend, trending

_GEO = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_PACIFIC = timezone(timedelta(hours=-8))
_NEWS = ("What to know about {}", "{}: the story so far", "{} explained", "Live: {}")
_HTML = {"Content-Type": "text/html; charset=UTF-8"}
_XML = {"Content-Type": "application/rss+xml; charset=UTF-8"}


def router(world: World) -> APIRouter:
    """The route `/trends.google.com/trending/rss`."""
    routes = APIRouter(prefix="/trends.google.com")

    @routes.get("/trending/rss")
    async def feed(request: Request) -> Response:
        call = read_call(request, world)
        status, headers = call.status_fault() or (200, {})
        geo = request.query_params.get("geo", "US")
        if status == 200 and not _GEO.fullmatch(geo):
            status = 400
        if status != 200:
            page = f"<!DOCTYPE html><html><title>Error {status}</title></html>"
            return await answer(call, page.encode, status, {**_HTML, **headers})
        return await answer(call, lambda: _document(call, geo), headers=_XML)

    return routes


def _document(call: Call, geo: str) -> bytes:
    items = [_item(call, trend) for trend in trending(call.world.seed, geo, call.minute)]
    damaged = damage(items, call.faults, call.world.seed, call.address)
    rows = "".join(_rendered(item, geo) for item in damaged)
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        '<rss xmlns:atom="http://www.w3.org/2005/Atom"'
        ' xmlns:ht="https://trends.google.com/trending/rss" version="2.0"><channel>'
        "<title>Daily Search Trends</title><description>Recent searches</description>"
        f"<link>https://trends.google.com/trending/rss?geo={geo}</link>"
        f"{rows}</channel></rss>"
    ).encode()


def _item(call: Call, trend: Trend) -> dict[str, Any]:
    count = 1 + noise.pick(call.world.seed, "trend:news", trend.entity, 3)
    first = noise.pick(call.world.seed, "trend:wording", trend.entity, len(_NEWS))
    news = [_NEWS[(first + number) % len(_NEWS)].format(trend.title) for number in range(count)]
    return {
        "query": trend.title,
        "traffic": str(trend.searches),
        "started": iso(trend.started),
        "news": [
            {"headline": text, "link": f"https://site{trend.entity % 400}.example/{number}"}
            for number, text in enumerate(news)
        ],
    }


def _rendered(item: Any, geo: str) -> str:
    if not isinstance(item, dict):
        return f"<item>{escape(str(item))}</item>"
    picture = "https://pictures.example/trend.jpg"
    news = "".join(_news(each) for each in item["news"])
    return (
        f"<item>{_element('title', item.get('query'))}"
        f"{_element('ht:approx_traffic', _traffic(item.get('traffic')))}"
        f"<description/><link>https://trends.google.com/trending/rss?geo={geo}</link>"
        f"{_element('pubDate', _since(item.get('started')))}"
        f"<ht:picture>{picture}</ht:picture><ht:picture_source>Pictures</ht:picture_source>"
        f"{news}</item>"
    )


def _news(news: dict[str, Any]) -> str:
    return (
        f"<ht:news_item>{_element('ht:news_item_title', news.get('headline'))}"
        f"<ht:news_item_snippet/>{_element('ht:news_item_url', news.get('link'))}"
        "<ht:news_item_source>Site</ht:news_item_source></ht:news_item>"
    )


def _element(name: str, value: str | None) -> str:
    return "" if value is None else f"<{name}>{escape(value)}</{name}>"


def _traffic(value: Any) -> str:
    """A number of searches as the feed writes it; what is no number, as it is."""
    if not str(value).isdigit():
        return str(value)
    number = int(value)
    for unit, sign in ((1_000_000, "M"), (10_000, "K")):
        if number >= unit:
            return f"{number // (1_000 if sign == 'K' else unit)}{sign}+"
    return f"{number}+"


def _since(value: Any) -> str | None:
    """A time as the feed writes it; what is no time, as it is."""
    try:
        return format_datetime(datetime.fromisoformat(value).astimezone(_PACIFIC))
    except (TypeError, ValueError):
        return None if value is None else str(value)

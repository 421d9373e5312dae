"""Every feed of the configured list, as RSS 2.0 or Atom.

RSS 2.0 as on https://www.rssboard.org/rss-specification, Atom as in
https://www.rfc-editor.org/rfc/rfc4287, conditional requests as in
https://www.rfc-editor.org/rfc/rfc9110#name-conditional-requests (all read 2026-11): an
`If-None-Match` is compared with the strong `ETag`, and only without one `If-Modified-Since` with
`Last-Modified`. A list that is not the shipped one is served as well.

Some feeds have a habit, so that readers meet each dialect without any fault plan; which one has
which is made up and says nothing about the real ones: see `_HABITS`. Feeds with other habits are
well-formed, complete and in UTF-8. The faults `malformed` and `duplicate` make entries without id,
without title and text, with a date like "yesterday" or with nothing but words, and entries that are
there twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape, quoteattr

from fastapi import APIRouter, HTTPException, Request, Response

from ml.sources.feed_list import Feed
from ml.world import feed_entries
from ml.world.answers import Call, World, answer, read_call
from ml.world.clock import iso, moment
from ml.world.faults import damage

# latin-1: ISO 8859-1, said by the document alone. undated: no entry has a date. entity: HTML's
# `&nbsp;`, which XML does not know, so the document is not well-formed. no-etag, no-date: that
# validator is missing.
Habit = Literal["atom", "latin-1", "undated", "entity", "no-etag", "no-date"]
_HABITS: Mapping[str, tuple[Habit, ...]] = {
    "feed_the_verge": ("atom",),
    "feed_polygon": ("atom",),
    "feed_conversation_uk": ("atom", "no-etag"),
    "feed_folha": ("latin-1",),
    "feed_motorsport_total": ("latin-1", "no-date"),
    "feed_hurriyet": ("undated",),
    "feed_gamespot": ("undated", "no-etag"),
    "feed_clarin": ("entity",),
    "feed_espn": ("no-etag",),
    "feed_ansa": ("no-etag", "no-date"),
}
_ERROR = {"Content-Type": "text/html; charset=utf-8"}


def habits(feed: str) -> tuple[Habit, ...]:
    """What is special about a feed, by its id."""
    return _HABITS.get(feed, ())


def router(world: World, feeds: Iterable[Feed]) -> APIRouter:
    """A route per host and path, `/feeds.bbci.co.uk/news/world/rss.xml` for example.

    Register it last: where another provider has the same address, that one answers.
    """
    routes = APIRouter()
    by_path: dict[str, list[Feed]] = {}
    for feed in feeds:
        address = urlsplit(feed.url)
        by_path.setdefault(f"/{address.netloc}{address.path}", []).append(feed)
    for path, there in by_path.items():
        _add(routes, world, path, there)
    return routes


def _add(routes: APIRouter, world: World, path: str, feeds: list[Feed]) -> None:
    @routes.get(path)
    async def read(request: Request) -> Response:
        asked = sorted(request.query_params.multi_items())
        for feed in feeds:
            if sorted(parse_qsl(urlsplit(feed.url).query, True)) == asked:
                return await _respond(request, read_call(request, world), feed)
        raise HTTPException(404)


async def _respond(request: Request, call: Call, feed: Feed) -> Response:
    if fault := call.status_fault():
        page = f"<html><body><h1>{fault[0]}</h1></body></html>"
        return await answer(call, page.encode, fault[0], {**_ERROR, **fault[1]})
    body, changed = document(call, feed)
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Last-Modified": format_datetime(changed, usegmt=True)}
    missing = {"no-etag": "ETag", "no-date": "Last-Modified"}
    for habit in habits(feed.id):
        headers.pop(missing.get(habit, ""), None)
    if _is_known(request, headers, changed):
        return Response(status_code=304, headers=headers)
    return await answer(call, lambda: body, headers={**headers, "Content-Type": _type(feed)})


def _is_known(request: Request, headers: Mapping[str, str], changed: datetime) -> bool:
    """Whether the client has this version."""
    if (known := request.headers.get("If-None-Match")) is not None:
        return headers.get("ETag") in [tag.strip() for tag in known.split(",")]
    since = request.headers.get("If-Modified-Since")
    if since is None or "Last-Modified" not in headers:
        return False
    try:
        return changed <= parsedate_to_datetime(since)
    except (ValueError, TypeError):
        return False


def _type(feed: Feed) -> str:
    if "latin-1" in habits(feed.id):
        return "application/rss+xml"
    return f"application/{'atom' if 'atom' in habits(feed.id) else 'rss'}+xml; charset=UTF-8"


def document(call: Call, feed: Feed) -> tuple[bytes, datetime]:
    """The feed at the call's moment, and when it last changed."""
    seed, hours = call.world.seed, call.hours
    entries = feed_entries.shown(seed, feed.id, feed.category, hours)
    items = [_item(call, feed, entries, row) for row in range(len(entries.ids))]
    damaged = damage(items, call.faults, seed, call.address)
    changed = moment(feed_entries.changed_at(entries, hours))
    encoding = "ISO-8859-1" if "latin-1" in habits(feed.id) else "UTF-8"
    frame = _atom if "atom" in habits(feed.id) else _rss
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{frame(feed, damaged, changed)}'
    if "entity" in habits(feed.id):
        text = text.replace("</description>", "&nbsp;</description>")
    return text.encode(encoding, "xmlcharrefreplace"), changed


def _item(call: Call, feed: Feed, entries: feed_entries.Entries, row: int) -> dict[str, Any]:
    """An entry as both formats tell it."""
    title, text, tags = feed_entries.wording(
        call.world.seed, feed.id, feed.language, entries, row, call.hours
    )
    entity = int(entries.ids[row])
    link = f"https://{feed.id.removeprefix('feed_').replace('_', '-')}.example/{entity}"
    item = {
        "id": link,
        "link": link,
        "title": title,
        "text": f"<p>{escape(text)}</p>",
        "author": f"Reporter {entity % 40}",
        "tags": tags,
    }
    if "undated" not in habits(feed.id):
        published, corrected = float(entries.published[row]), float(entries.corrected[row])
        item["published"] = iso(published)
        item["updated"] = iso(corrected if corrected <= call.hours else published)
    return item


def _rss(feed: Feed, items: list[Any], changed: datetime) -> str:
    return (
        '<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">\n<channel>\n'
        f"<title>{escape(feed.title)}</title>\n<link>{escape(feed.homepage)}</link>\n"
        f"<description>{escape(feed.title)}, simulated</description>\n"
        f"<language>{feed.language}</language>\n"
        f"<lastBuildDate>{format_datetime(changed, usegmt=True)}</lastBuildDate>\n"
        f"{''.join(map(_rss_item, items))}</channel>\n</rss>\n"
    )


def _rss_item(item: Any) -> str:
    if not isinstance(item, dict):
        return f"<item>{escape(str(item))}</item>\n"
    parts = [
        ("title", item.get("title")),
        ("link", item.get("link")),
        ("description", item.get("text")),
        ("dc:creator", item.get("author")),
        *(("category", tag) for tag in item.get("tags", [])),
        ("guid", item.get("id")),
        ("pubDate", _rfc822(item.get("published"))),
    ]
    return f"<item>{_elements(parts)}</item>\n"


def _atom(feed: Feed, items: list[Any], changed: datetime) -> str:
    return (
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{feed.language}">\n'
        f"<title>{escape(feed.title)}</title>\n<id>{escape(feed.url)}</id>\n"
        f'<link rel="self" href={quoteattr(feed.url)}/>\n'
        f"<updated>{changed:%Y-%m-%dT%H:%M:%SZ}</updated>\n"
        f"{''.join(map(_atom_entry, items))}</feed>\n"
    )


def _atom_entry(item: Any) -> str:
    if not isinstance(item, dict):
        return f"<entry>{escape(str(item))}</entry>\n"
    link, author = item.get("link"), item.get("author")
    rest = [
        f"<link href={quoteattr(link)}/>" if link else "",
        f"<author><name>{escape(author)}</name></author>" if author else "",
        *(f"<category term={quoteattr(str(tag))}/>" for tag in item.get("tags", [])),
        f'<summary type="html">{escape(item["text"])}</summary>' if item.get("text") else "",
    ]
    parts = [
        ("title", item.get("title")),
        ("id", item.get("id")),
        ("published", item.get("published")),
        ("updated", item.get("updated")),
    ]
    return f"<entry>{_elements(parts)}{''.join(rest)}</entry>\n"


def _elements(parts: Iterable[tuple[str, Any]]) -> str:
    return "".join(
        f"<{name}>{escape(str(value))}</{name}>" for name, value in parts if value is not None
    )


def _rfc822(value: Any) -> str | None:
    """A time as RSS writes it; what is no time, as it is."""
    if value is None:
        return None
    try:
        return format_datetime(datetime.fromisoformat(value), usegmt=True)
    except ValueError:
        return str(value)

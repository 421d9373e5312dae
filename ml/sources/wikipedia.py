"""Wikipedia: the most viewed articles of each day, how new ones got there, and hourly views.

Wikimedia Analytics API, `top` and `per-article`:
https://doc.wikimedia.org/generated-data-platform/aqs/analytics-api/reference/page-views.html and
https://wikitech.wikimedia.org/wiki/Analytics/AQS/Pageview_API (read 2026-11). No key, CC0. The
access policy wants a user agent with a contact (set YTEMPIRE_CONTACT) and one request after the
other. Hourly views come from the dumps (`ml.sources.wikipedia_dumps`) where WIKIPEDIA_HOURLY is on.

**Not yet.** The figures of a day appear some hours, sometimes more than a day after its end; until
then the API answers 404. So a day is asked for by the interval that holds the moment 12 hours after
its end, an hour's dump 2 hours after (daily intervals ask for the day before theirs), and what was
not there yet is kept in the cursor and asked for again by each later interval for a week: nothing
is lost, and 404 is no error. An unknown project answers 404 too, so the log names it each time.

**History.** For articles in a day's list that were not in that of the day before, at most
`ENTRANTS` of them from the top, the daily views of the last `HISTORY_DAYS` days are fetched.

Left out on purpose: pages that are no articles (`is_meta`), such as Main_Page and Special:Search.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from ml.exceptions import NotFoundError, RecordError
from ml.settings import Settings
from ml.sources import fields, wikipedia_dumps
from ml.sources.access import Access
from ml.sources.base import (
    Availability,
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    is_latest,
    latest_end,
    new_page,
    record,
)
from ml.sources.http import Fetched, HttpClient
from ml.sources.wikipedia_titles import described, is_meta

log = logging.getLogger(__name__)

ENTRANTS = 25
HISTORY_DAYS = 30
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_DAY_SETTLES, _HOUR_SETTLES = timedelta(hours=12), timedelta(hours=2)
_ASKED_AGAIN = timedelta(days=7)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROJECT = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class WikipediaSource(Source):
    """Yields `top` and `views` records an article and day, `hourly_views` a page and hour."""

    spec = SourceSpec(
        id="wikipedia",
        family="wikipedia",
        title="Wikipedia page views",
        docs=(
            "https://doc.wikimedia.org/generated-data-platform/aqs/analytics-api/reference/"
            "page-views.html (2026-11)",
            "https://wikitech.wikimedia.org/wiki/Analytics/Data_Lake/Traffic/Pageviews (2026-11)",
        ),
        kinds=("top", "views", wikipedia_dumps.KIND),
        base_url="https://wikimedia.org/api/rest_v1/metrics/pageviews",
        replayable=True,
        min_interval_s=0.1,
        params={"projects": "wikipedia_projects"},
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._projects = tuple(name.removesuffix(".org") for name in settings.wikipedia_projects)

    def availability(self) -> Availability:
        """Whether there is a project, and each can be asked for."""
        if not self._projects:
            return Availability(False, 'set WIKIPEDIA_PROJECTS, for example ["en.wikipedia"]')
        for project in self._projects:
            if not _PROJECT.fullmatch(project):
                return Availability(False, f"{project!r} in WIKIPEDIA_PROJECTS is no project")
            if self.settings.wikipedia_hourly and not wikipedia_dumps.domain_codes(project):
                reason = f"the hourly dumps of {project} are not read: unset WIKIPEDIA_HOURLY"
                return Availability(False, f"{reason} or take it out of WIKIPEDIA_PROJECTS")
        return Availability(True)

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the lists, histories and dumps that are due, and those that were not there yet."""
        wanted = self._wanted(interval, cursor)
        for number, page in enumerate(self._pages(wanted, access)):
            yield replace(page, number=number)

    def _pages(self, wanted: Sequence[str], access: Access) -> Iterator[Page]:
        if lists := [key for key in wanted if key.startswith("top/")]:
            with access.client(self) as http:
                for key in lists:
                    yield from _list_and_histories(http, key)
        if hours := [key for key in wanted if key.startswith("hours/")]:
            with access.client(self, base_url=wikipedia_dumps.BASE_URL) as http:
                for key in hours:
                    yield from _dump(http, key)

    def _wanted(self, interval: Interval, cursor: Mapping[str, Any] | None) -> list[str]:
        """Keys of what to ask for: what is due, and in the latest interval what was missing."""
        missing = _missing(cursor) if is_latest(interval, cursor) else []
        whose = {*self._projects, *(["all"] if self.settings.wikipedia_hourly else [])}
        asked = [key for key in missing if key.split("/")[1] in whose]
        return list(dict.fromkeys([*asked, *self._due(interval)]))

    def _due(self, interval: Interval) -> Iterator[str]:
        """Keys of what should be there by an interval, `top/PROJECT/DAY` or `hours/all/HOUR`."""
        for end in _ends(interval, _DAY, _DAY_SETTLES):
            for project in self._projects:
                yield f"top/{project}/{end - _DAY:%Y-%m-%d}"
        if self.settings.wikipedia_hourly:
            for end in _ends(interval, _HOUR, _HOUR_SETTLES):
                yield f"hours/all/{end - _HOUR:%Y-%m-%dT%H:%M}"

    def next_cursor(
        self,
        interval: Interval,
        cursor: Mapping[str, Any] | None,
        pages: Sequence[Page],
    ) -> Mapping[str, Any]:
        """The end of the latest interval, and what was asked for and not there yet."""
        moved = latest_end(interval, cursor)
        got = {_key(page) for page in pages}
        oldest = datetime.fromisoformat(moved["interval_end"]) - _ASKED_AGAIN
        wanted = dict.fromkeys([*_missing(cursor), *self._due(interval)])
        missing = [key for key in wanted if key not in got and _moment(key) >= oldest]
        return {**moved, "missing": missing}

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.records`; what does not parse becomes `Rejected`."""
        if page.stream == "hours":
            yield from self._parse_dump(page)
            return
        try:
            content = fields.mapping(fields.document(page.body), "page").get("items")
            if not isinstance(content, list):
                raise RecordError("the page has no list of items")
            day, items = _listed(content) if page.stream == "top" else (None, content)
        except RecordError as error:
            yield fields.rejected_body(page.stream, error, page.body)
            return
        yield from fields.parse_each(
            page.stream,
            items,
            lambda item, _: _ranked(item, page, day) if day else _viewed(item, page),
        )

    def _parse_dump(self, page: Page) -> Iterator[Record | Rejected]:
        try:
            hour = _moment(_key(page))
        except ValueError:
            error = RecordError("the request of the page does not say which hour it is")
            yield wikipedia_dumps.rejected(error, b"", 0)
            return
        yield from wikipedia_dumps.parse(page, hour, self._projects)


def _ends(interval: Interval, length: timedelta, settles: timedelta) -> Iterator[datetime]:
    """Ends of whole UTC days or hours that were `settles` ago at some moment of the interval."""
    first = -((_EPOCH - (interval.start - settles)) // length)  # rounded up
    end = _EPOCH + first * length
    while end < interval.end - settles:
        yield end
        end += length


def _missing(cursor: Mapping[str, Any] | None) -> list[str]:
    return list((cursor or {}).get("missing", []))


def _key(page: Page) -> str:
    return page.request.rpartition("#")[2]


def _moment(key: str) -> datetime:
    """Start of the day or hour that a key stands for.

    Raises:
        ValueError: if it is no key.
    """
    return datetime.fromisoformat(key.rpartition("/")[2]).replace(tzinfo=UTC)


def _unless_missing(get: Callable[[str], Fetched], path: str) -> Fetched | None:
    """What is there, or None where the provider says that it is not."""
    try:
        return get(path)
    except NotFoundError:
        return None


def _list_and_histories(http: HttpClient, key: str) -> Iterator[Page]:
    """A day's list, and the histories of the articles that the day before did not have."""
    project, day = key.split("/")[1], _moment(key).date()
    listed = _unless_missing(http.get, _top_path(project, day))
    if listed is None:
        log.warning(
            "wikipedia: no list of %s for %s yet; later intervals ask again, for a week. Check"
            " WIKIPEDIA_PROJECTS if that goes on",
            project, day,
        )  # fmt: skip
        return
    yield new_page("top", listed, note=key)
    before = _unless_missing(http.get, _top_path(project, day - _DAY))
    if before is None:
        return
    known = set(_articles(before.body))
    new = [title for title in _articles(listed.body) if title not in known]
    span = f"{day - (HISTORY_DAYS - 1) * _DAY:%Y%m%d}/{day:%Y%m%d}"
    for title in new[:ENTRANTS]:
        path = f"per-article/{project}/all-access/user/{quote(title, safe='')}/daily/{span}"
        if fetched := _unless_missing(http.get, path):
            yield new_page("views", fetched, note=f"views/{project}/{day}")


def _dump(http: HttpClient, key: str) -> Iterator[Page]:
    """The dump of an hour."""
    get = partial(wikipedia_dumps.get_whole, http)
    if fetched := _unless_missing(get, wikipedia_dumps.path(_moment(key))):
        yield new_page("hours", fetched, note=key)
    else:
        log.info("wikipedia: no dump of %s yet; later intervals ask again, for a week", key)


def _top_path(project: str, day: date) -> str:
    return f"top/{project}/all-access/{day:%Y/%m/%d}"


def _articles(body: bytes) -> list[str]:
    """Names in a list, as far as it has them, best first, without pages that are no articles."""
    try:
        _, items = _listed(fields.mapping(fields.document(body), "page").get("items"))
    except RecordError:
        return []
    names = [item.get("article") for item in items if isinstance(item, dict)]
    found = (name for name in names if isinstance(name, str) and name and not is_meta(name))
    return list(dict.fromkeys(found))


def _listed(content: Any) -> tuple[datetime, list[Any]]:
    """The day and the articles of a list.

    Raises:
        RecordError: if it is no list of one day.
    """
    if not isinstance(content, list) or len(content) != 1:
        raise RecordError("the page is not the list of one day")
    top = fields.mapping(content[0], "list")
    year, month, number = (fields.count(top, name) or 0 for name in ("year", "month", "day"))
    try:
        day = datetime(year, month, number, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise RecordError(f"the list is of no day: {year}-{month}-{number}") from None
    articles = top.get("articles")
    if not isinstance(articles, list):
        raise RecordError("the list has no articles")
    project = fields.required_text(top, "project")
    return day, [{**item, "project": project} if isinstance(item, dict) else item
                 for item in articles]  # fmt: skip


def _ranked(item: Any, page: Page, day: datetime) -> Iterator[Record]:
    """The record of a listed article; none of a page that is no article."""
    article = fields.mapping(item, "article")
    title = fields.required_text(article, "article")
    measured = {
        "rank": fields.required_count(article, "rank"),
        "views": fields.required_count(article, "views"),
    }
    if not is_meta(title):
        project = fields.required_text(article, "project")
        yield record(
            page, "top", f"{project}/{title}", day, {**described(project, title), **measured}
        )


def _viewed(item: Any, page: Page) -> Iterator[Record]:
    """The record of an article's views on a day."""
    views = fields.mapping(item, "views")
    title, project = fields.required_text(views, "article"), fields.required_text(views, "project")
    stamp = fields.required_text(views, "timestamp")
    try:
        day = datetime.strptime(stamp, "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        raise RecordError(f"timestamp is not a day: {ascii(stamp)[:60]}") from None
    payload = {**described(project, title), "views": fields.required_count(views, "views")}
    yield record(page, "views", f"{project}/{title}", day, payload)

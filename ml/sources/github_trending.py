"""GitHub: the repositories that trend today.

https://github.com/trending is a page without an API or documentation (markup as of 2026-11): an
`article.Box-row` a repository, best first, with a heading that links to it, and, each if there is
one, a description, a language, links to stargazers and forks with their numbers, and the stars of
the day. Only the present is known.

The list of all languages gives `listing` records with the names of the archives
(`ml.sources.archives.github_trending`): one a repository and UTC day, of the day's last reading.
The list of one language gives `language_listing` records. Both give `snapshot` records: stars and
forks at the moment of reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ml.exceptions import RecordError
from ml.settings import Settings
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import (
    Availability,
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    new_page,
    note,
    record,
)

_ROW = "article.Box-row"
_LINK = re.compile(r"/([A-Za-z0-9][\w.-]*)/([\w.-]+)", re.ASCII)
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,15}")
_STARS_TODAY = re.compile(r"(\S+) stars? today")


class GitHubTrendingSource(Source):
    """Yields a `listing` or `language_listing` and a `snapshot` record a listed repository."""

    spec = SourceSpec(
        id="github-trending",
        family="github",
        title="GitHub trending repositories",
        docs=("https://github.com/trending (2026-11)",),
        kinds=("listing", "language_listing", "snapshot"),
        base_url="https://github.com/trending",
        min_interval_s=2.0,
        params={"languages": "github_languages"},
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._languages = tuple(dict.fromkeys(name.lower() for name in settings.github_languages))

    def availability(self) -> Availability:
        """Whether there is a list to read."""
        if not self._languages:
            return Availability(False, 'set GITHUB_LANGUAGES, for example [""] for all languages')
        return Availability(True)

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the list of each language; a list has no increments, so no cursor.

        The language is kept as the fragment of the request, as it was configured.
        """
        with access.client(self) as http:
            for number, language in enumerate(self._languages):
                path = quote(language.replace(" ", "-"), safe="")
                fetched = http.get(path, {"since": "daily"}, expect="html")
                asked = urlencode({"language": language})
                yield new_page("trending", fetched, number=number, note=asked)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.records`; what does not parse becomes `Rejected`."""
        language = note(page, "language") or ""
        return fields.parse_items(
            page,
            "trending",
            _rows,
            lambda row, position: _records(row, page, position, language),
            first=1,
            shown=lambda row: fields.as_json((row.html or "").replace("\x00", "\ufffd")),
        )


def _rows(body: bytes) -> list[LexborNode]:
    """The listed repositories.

    Raises:
        RecordError: if it is no list of them.
    """
    tree = LexborHTMLParser(body.decode("utf-8", "replace"))
    rows = tree.css(_ROW)
    if not rows and tree.css_first(".blankslate, .blankslate-heading") is None:
        raise RecordError("neither repositories nor the notice that there are none")
    return rows


def _records(row: LexborNode, page: Page, position: int, language: str) -> Iterator[Record]:
    """The records of one repository.

    Raises:
        RecordError: naming what does not fit.
    """
    owner, name = _repository(row)
    found = {
        "lang": _text(row, '[itemprop="programmingLanguage"]'),
        "desc": _text(row, "p"),
    }
    listing: dict[str, Any] = {
        "position": position,
        **{key: fields.text(found, key) for key in found},
        "title": f"{owner}/{name}",
        "url": f"https://github.com/{owner}/{name}",
        "author": owner,
    }
    today = _text(row, ".float-sm-right")
    measured = {
        "stars": _number("stars", _text(row, 'a[href$="/stargazers"]')),
        "forks": _number("forks", _text(row, 'a[href$="/forks"]')),
        "stars_today": _stars_today(today),
    }
    at = page.fetched_at.astimezone(UTC)
    day = datetime(at.year, at.month, at.day, tzinfo=UTC)
    if language:
        payload = {**listing, "list": language, **measured}
        yield record(page, "language_listing", f"{language}:{owner}/{name}", day, payload)
    else:
        yield record(page, "listing", f"{owner}/{name}", day, {**listing, **measured})
    yield record(page, "snapshot", f"{owner}/{name}", at, measured)


def _repository(row: LexborNode) -> tuple[str, str]:
    link = row.css_first("h2 a")
    href = link.attributes.get("href") if link else None
    found = _LINK.fullmatch(href or "")
    if found is None:
        raise RecordError(f"the heading links to no repository: {ascii(href)[:60]}")
    return found[1], found[2]


def _text(row: LexborNode, selector: str) -> str | None:
    node = row.css_first(selector)
    return (" ".join(node.text().split()) or None) if node else None


def _number(name: str, text: str | None) -> int | None:
    """A number with thousands separators, or None where the page has none."""
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise RecordError(f"{name} is not a number: {ascii(text)[:60]}")
    return int(text.replace(",", ""))


def _stars_today(text: str | None) -> int | None:
    if text is None:
        return None
    found = _STARS_TODAY.fullmatch(text)
    if found is None:
        raise RecordError(f"not the stars of a day: {ascii(text)[:60]}")
    return _number("stars_today", found[1])

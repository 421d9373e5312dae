"""Wikimedia's hourly page views: one gzip file an hour with a line a page, of all projects.

https://wikitech.wikimedia.org/wiki/Analytics/Data_Lake/Traffic/Pageviews (read 2026-11): lines of
`domain_code page_title count_views total_response_size` (the last is no longer filled), UTC, the
time in the file's name is that of the end of the hour. The domain code of the English Wikipedia is
`en` for the desktop site and `en.m` for the mobile one; sister projects add a letter, `en.m.d`.

A file has some 50 MB and millions of lines. Only lines of the configured projects with at least
`MIN_VIEWS` views become records, one a site: desktop and mobile are not added up here. All else is
left out on purpose: other projects, fewer views, pages that are no articles. A line that names no
project, or one of a configured project that is not of this form, is a dead letter.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ml.exceptions import ProviderError, RecordError
from ml.sources import fields
from ml.sources.base import Page, Record, Rejected, record
from ml.sources.http import Fetched, HttpClient
from ml.sources.wikipedia_titles import described, is_meta

BASE_URL = "https://dumps.wikimedia.org/other/pageviews"
KIND = "hourly_views"
MIN_VIEWS = 100
MOST_BYTES = 128 * 1024 * 1024
_DIGITS = len(str(MIN_VIEWS))
_ATTEMPTS = 3
_BLOCK = 1 << 20
_SISTERS = {
    "wikipedia": "", "wikibooks": ".b", "wiktionary": ".d", "wikinews": ".n", "wikiquote": ".q",
    "wikisource": ".s", "wikiversity": ".v", "wikivoyage": ".voy",
}  # fmt: skip


def domain_codes(project: str) -> dict[bytes, str]:
    """The codes of a project's sites and how each is reached; none where the code is not known."""
    language, _, sister = project.removesuffix(".org").partition(".")
    if sister not in _SISTERS or language == "www":
        return {}
    suffix = _SISTERS[sister]
    codes = {f"{language}{suffix}": "desktop", f"{language}.m{suffix}": "mobile-web"}
    return {code.encode(): access for code, access in codes.items()}


def path(hour: datetime) -> str:
    """Where the dump of the hour that starts at `hour` lies."""
    end = hour + timedelta(hours=1)
    return f"{end:%Y}/{end:%Y-%m}/pageviews-{end:%Y%m%d-%H}0000.gz"


def get_whole(http: HttpClient, where: str) -> Fetched:
    """Get a dump, again if it is cut off.

    Raises:
        ProviderError: if it stays cut off.
    """
    for _ in range(_ATTEMPTS):
        fetched = http.get(where, expect="bytes", max_bytes=MOST_BYTES)
        if _is_whole(fetched.body):
            return fetched
    raise ProviderError(f"wikipedia: {fetched.request} is no complete gzip file; retry later")


def _is_whole(body: bytes) -> bool:
    try:
        with gzip.open(io.BytesIO(body)) as lines:
            while lines.read(_BLOCK):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return bool(body)


def parse(page: Page, hour: datetime, projects: Sequence[str]) -> Iterator[Record | Rejected]:
    """The records of a dump; never raises.

    Args:
        page: the dump.
        hour: at which its hour starts.
        projects: whose lines are wanted.
    """
    sites = {
        code + b" ": (project, access)
        for project in projects
        for code, access in domain_codes(project).items()
    }
    starts = tuple(sites)
    position = -1
    try:
        with gzip.open(io.BytesIO(page.body)) as lines:
            for position, line in enumerate(lines):
                # Most lines are of other projects: millions, so they are passed over first.
                if not line.startswith(starts) and line.find(b" ") > 0:
                    continue
                try:
                    yield from _records(line, sites, page, hour)
                except RecordError as error:
                    yield rejected(error, line, position)
    except (OSError, EOFError, zlib.error) as error:
        reason = RecordError(f"no complete gzip file: {str(error)[:60]}")
        yield rejected(reason, b"(binary; see the page in bronze)", position + 1)


def _records(
    line: bytes, sites: dict[bytes, tuple[str, str]], page: Page, hour: datetime
) -> Iterator[Record]:
    """The record of a line; none of one that is left out.

    Raises:
        RecordError: if it does not have the form.
    """
    parts = line.rstrip(b"\n").split(b" ")
    if len(parts) != 4 or parts[0] + b" " not in sites:
        raise RecordError(f"not a line of four columns: {line[:40]!a}")
    if len(parts[2]) < _DIGITS and parts[2].isdigit() and parts[1]:
        return  # most lines: fewer views than wanted, whatever the title
    project, access = sites[parts[0] + b" "]
    try:
        title, views = parts[1].decode(), parts[2].decode("ascii")
    except UnicodeDecodeError:
        raise RecordError("the title is not UTF-8") from None
    row = {"title": title, "views": views}
    count = fields.count(row, "views")
    title = fields.required_text(row, "title")
    if count is None or count < MIN_VIEWS or is_meta(title):
        return
    payload = {**described(project, title), "access": access, "views": count}
    yield record(page, KIND, f"{project}/{access}/{title}", hour, payload)


def rejected(error: RecordError, line: bytes, position: int) -> Rejected:
    """The dead letter of a line."""
    payload = line.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    return Rejected(KIND, error.reason, payload, position)

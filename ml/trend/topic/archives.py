"""Volumes by topic or category from public archive files, without a database.

A YouTube list counts its videos by country and category, the panel by category, Hacker News its
front-page stories by host and by title word, GitHub's list its repositories by language.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ml.exceptions import ArchiveError
from ml.sources.archives import FORMATS, open_archives
from ml.sources.archives.reading import read_header

if TYPE_CHECKING:
    import pandas as pd

_SNAPSHOTS = "hackernews-snapshots"
# A word of fewer letters is hardly ever a topic.
_WORD = r"[a-z][a-z0-9+#.-]{3,}"


def read_volumes(paths: Sequence[Path], *, hourly: bool = False) -> pd.DataFrame:
    """Count the distinct items of each topic in each day or hour.

    Args:
        paths: files of the formats that `import-archive` reads; those of a format belong together.
        hourly: by UTC hour; formats that are listed once a day are left out then.

    Returns:
        Columns `source`, `series`, `at` (start of the UTC day or hour) and `volume`.

    Raises:
        ArchiveError: if a file is of no known format or cannot be read.
    """
    import pandas as pd

    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(_format_of(path), []).append(path)
    frames = []
    for name, files in groups.items():
        if hourly and name != _SNAPSHOTS:
            continue
        seen = _READERS[name](_rows(name, files))
        seen["at"] = pd.to_datetime(seen["at"], utc=True).dt.floor("h" if hourly else "D")
        if name == _SNAPSHOTS:
            # Watching began and ended in the middle of a day.
            days = seen["at"].dt.floor("D")
            seen = seen[(days > days.min()) & (days < days.max())]
        counted = seen.groupby(["series", "at"], sort=True)["item"].nunique().rename("volume")
        frames.append(counted.reset_index().assign(source=name))
    if not frames:
        raise ArchiveError("none of the files has times of the day; leave out --hourly")
    return pd.concat(frames, ignore_index=True)[["source", "series", "at", "volume"]]


def _format_of(path: Path) -> str:
    header = read_header(path)
    for name, form in FORMATS.items():
        if header is not None and form.matches(header):
            return name
    known = "; ".join(f"{name}: {form.expected}" for name, form in FORMATS.items())
    raise ArchiveError(f"{path} is of no known format ({known})")


def _rows(name: str, files: Sequence[Path]) -> pd.DataFrame:
    import pandas as pd

    tables = [
        chunk.rows.table.to_pandas()
        for archive in open_archives(name, files)
        for chunk in archive.chunks()
    ]
    return pd.concat(tables, ignore_index=True)


def _youtube(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows[rows["category_id"].notna()]
    category = known["category_id"].astype(int).astype(str)
    return known[[]].assign(
        series="youtube/" + known["region"] + "/" + category,
        at=known["observed_at"],
        item=known["video_id"],
    )


def _hackernews(rows: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    stories = rows[rows["kind"] == "item"].drop_duplicates("record_id").set_index("record_id")
    told = pd.DataFrame([json.loads(text) for text in stories["payload"]], index=stories.index)
    words = (
        told["title"]
        .str.lower()
        .str.findall(_WORD)
        .map(lambda found: sorted(set(found) - ENGLISH_STOP_WORDS))
    )
    named = words.explode().dropna().map("hackernews/word/{}".format)
    hosts = told["url"].dropna().map(_host)
    named = pd.concat([named, hosts[hosts != ""].map("hackernews/host/{}".format)])
    shown = rows.loc[rows["kind"] == "snapshot", ["record_id", "event_at"]]
    # Half an hour apart, so most sights of a story in an hour are the same one.
    shown = shown.assign(event_at=shown["event_at"].dt.floor("h")).drop_duplicates()
    seen = shown.merge(named.rename("series"), left_on="record_id", right_index=True)
    return seen.rename(columns={"event_at": "at", "record_id": "item"})


def _host(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.")


def _github(rows: pd.DataFrame) -> pd.DataFrame:
    language = rows["payload"].map(lambda text: json.loads(text).get("lang"))
    known = rows[language.notna()]
    return known[[]].assign(
        series="github/" + language[language.notna()],
        at=known["event_at"],
        item=known["record_id"],
    )


_READERS = {
    "youtube-trending": _youtube,
    "youtube-panel": _youtube,
    _SNAPSHOTS: _hackernews,
    "github-trending": _github,
}

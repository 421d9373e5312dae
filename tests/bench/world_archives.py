"""Real archives and the simulated world in the same columns, for `bench_world`."""

from __future__ import annotations

import csv
import lzma
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from ml.world import parameters as p
from ml.world.chart import chart
from ml.world.repositories import trending
from ml.world.stories import ranked, recent, scores
from ml.world.videos import counts

SHOWN = 50  # places of a country's list that the archive keeps
PLACES = 30  # of the front page that the archive keeps
NEAR_DAYS = 30  # a listing further from a story has nothing to do with it
_DAY_H = 24.0
_SIM_HOUR = 4  # of the day at which the archive was collected, UTC
_SIM_FIRST_DAY = 30  # long enough after any day whose videos are still listed
_REPOSITORY = re.compile(r"github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?(?:[/?#]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Charts:
    """Daily lists of a country: day by day the ids, best first, and the ages in hours."""

    ids: list[list[str]]
    ages: list[np.ndarray]

    def split(self) -> tuple[Charts, Charts]:
        """The first and the second half."""
        middle = len(self.ids) // 2
        return (
            Charts(self.ids[:middle], self.ages[:middle]),
            Charts(self.ids[middle:], self.ages[middle:]),
        )


@dataclass(frozen=True)
class Panel:
    """Observations of videos listed on three days or more, ordered by video and age.

    Attributes:
        video: a number for each video.
        age: hours since publication.
        views: logarithm.
        first: hour at which the video was first seen.
    """

    video: np.ndarray
    age: np.ndarray
    views: np.ndarray
    first: np.ndarray

    def split(self) -> tuple[Panel, Panel]:
        """Videos first seen early and late."""
        early = self.first < (self.first.min() + self.first.max()) / 2
        return self._take(early), self._take(~early)

    def _take(self, rows: np.ndarray) -> Panel:
        return Panel(self.video[rows], self.age[rows], self.views[rows], self.first[rows])


@dataclass(frozen=True)
class FrontPage:
    """Half-hourly front pages, ordered by story and time; times in hours."""

    story: np.ndarray
    hour: np.ndarray
    upvotes: np.ndarray
    comments: np.ndarray

    def split(self) -> tuple[FrontPage, FrontPage]:
        """The first and the second half of the time."""
        early = self.hour < (self.hour.min() + self.hour.max()) / 2
        return self._take(early), self._take(~early)

    def _take(self, rows: np.ndarray) -> FrontPage:
        return FrontPage(self.story[rows], self.hour[rows], self.upvotes[rows], self.comments[rows])


# --- Archives ------------------------------------------------------------------------------------


def rows(path: Path) -> csv.DictReader:
    """Rows of a compressed CSV file."""
    return csv.DictReader(lzma.open(path, "rt", encoding="utf-8", newline=""))


def _hours(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() / 3600.0


def real_charts(data: Path, region: str) -> Charts:
    """A country's lists."""
    days: dict[str, list[tuple[int, str, float]]] = defaultdict(list)
    for row in rows(data / "youtube-2025-2026" / "countries" / f"{region}.csv.xz"):
        age = _hours(row["fetched_at"]) - _hours(row["published_at"])
        days[row["snapshot_date"]].append((int(row["rank"]), row["video_id"], age))
    ordered = [sorted(days[day])[:SHOWN] for day in sorted(days)]
    return Charts(
        ids=[[video for _, video, _ in day] for day in ordered],
        ages=[np.array([age for _, _, age in day]) for day in ordered],
    )


def real_panel(data: Path) -> Panel:
    """The videos of the lists that the world has, too."""
    seen = {}
    for region in p.REGIONS:
        for row in rows(data / "youtube-2025-2026" / "countries" / f"{region}.csv.xz"):
            views, hour = float(row["views"] or 0), _hours(row["fetched_at"])
            if views > 0:
                age = hour - _hours(row["published_at"])
                seen[row["video_id"], row["snapshot_date"]] = (row["video_id"], hour, age, views)
    return _panel(list(seen.values()))


def real_front_page(data: Path) -> FrontPage:
    """The front pages of Hacker News."""
    seen = [
        (
            int(row["id"]), _hours(row["observed_at_utc"]),
            int(row["upvotes"]), float(row["comments"] or "nan"),
        )
        for row in rows(data / "hackernews" / "snapshots.csv.xz")
    ]  # fmt: skip
    return _front_page(seen)


Days = dict[object, list[int]]  # what was seen on which days


def real_sightings(data: Path) -> tuple[Days, Days]:
    """Repositories on the front page of Hacker News, and on the trending list, while both exist."""
    listed: Days = defaultdict(list)
    for row in rows(data / "github-trending" / "github_trending_daily.csv.xz"):
        listed[row["repo"].lower()].append(date.fromisoformat(row["date"]).toordinal())
    last = max(max(days) for days in listed.values()) - NEAR_DAYS
    told: Days = defaultdict(list)
    for row in rows(data / "hackernews" / "items.csv.xz"):
        day = datetime.fromisoformat(row["first_seen_utc"]).date().toordinal()
        if (found := _REPOSITORY.search(row["url"] or "")) and day < last:
            told[found[1].lower()].append(day)
    return told, listed


def lags(told: Days, listed: Days, shift: int = 0) -> list[int]:
    """Days from a first story to the nearest first listing, where there is one.

    What comes back after ten days is a first time again.

    Args:
        told: days of stories.
        listed: days of listings.
        shift: move the stories by as many days, to see what chance alone gives.
    """
    found = []
    for name, days in told.items():
        starts = _firsts(listed.get(name, []))
        for day in _firsts(days):
            near = [start - day - shift for start in starts]
            near = [lag for lag in near if abs(lag) <= NEAR_DAYS]
            if near:
                found.append(min(near, key=abs))
    return found


def _firsts(days: list[int]) -> list[int]:
    ordered = sorted(set(days))
    return [day for before, day in zip([-99, *ordered], ordered, strict=False) if day > before + 10]


# --- The simulated world -------------------------------------------------------------------------


def simulated_charts(seed: int, region: str, days: int) -> Charts:
    """What the archive's collector would have seen in the world."""
    lists = []
    for day in range(_SIM_FIRST_DAY, _SIM_FIRST_DAY + days):
        hours = _DAY_H * day + _SIM_HOUR
        lists.append((hours, chart(seed, region, round(60 * hours)).take(np.arange(SHOWN))))
    return Charts(
        ids=[[str(video) for video in listed.ids] for _, listed in lists],
        ages=[hours - listed.published for hours, listed in lists],
    )


def simulated_panel(seed: int, days: int) -> Panel:
    """Videos that the world's charts list on three days or more."""
    seen: list[tuple[str, float, float, float]] = []
    for day in range(_SIM_FIRST_DAY, _SIM_FIRST_DAY + days):
        hours = _DAY_H * day + _SIM_HOUR
        found: dict[int, tuple[float, float]] = {}
        for region in p.REGIONS:
            listed = chart(seed, region, round(60 * hours)).take(np.arange(SHOWN))
            views = counts(listed, hours).views
            for video, born, count in zip(listed.ids, listed.published, views, strict=True):
                found[int(video)] = (hours - float(born), float(count))
        seen += [(str(video), hours, age, count) for video, (age, count) in found.items()]
    return _panel(seen)


def simulated_front_page(seed: int, days: int) -> FrontPage:
    """The world's front page every half hour."""
    seen = []
    start = _SIM_FIRST_DAY * 1440
    for minute in range(start, start + days * 1440, 30):
        stories = recent(seed, minute)
        where = {int(item): row for row, item in enumerate(stories.item)}
        top = ranked(seed, minute)[:PLACES]
        shown = stories.take(np.array([where[item] for item in top]))
        upvotes, comments = scores(shown, minute / 60.0)
        seen += [
            (item, minute / 60.0, int(score), float(said))
            for item, score, said in zip(top, upvotes, comments, strict=True)
        ]
    return _front_page(seen)


def simulated_sightings(seed: int, days: int) -> tuple[Days, Days]:
    """Topics on the world's front page (every two hours), and on its daily trending list."""
    told: Days = defaultdict(list)
    listed: Days = defaultdict(list)
    start = _SIM_FIRST_DAY
    for minute in range(start * 1440, (start + days) * 1440, 120):
        stories = recent(seed, minute)
        where = {int(item): row for row, item in enumerate(stories.item)}
        shown = stories.take(np.array([where[item] for item in ranked(seed, minute)[:PLACES]]))
        for topic in zip(shown.niche, shown.subject, shown.angle, strict=True):
            told[topic].append(minute // 1440)
    for day in range(start, start + days + NEAR_DAYS):
        found, _, _ = trending(seed, day * 1440, 24, None)
        for topic in zip(found.niche, found.subject, found.angle, strict=True):
            listed[topic].append(day)
    return told, listed


# --- Columns -------------------------------------------------------------------------------------


def _panel(seen: list[tuple[str, float, float, float]]) -> Panel:
    names, video = np.unique([row[0] for row in seen], return_inverse=True)
    hour, age, views = (np.array([row[k] for row in seen]) for k in (1, 2, 3))
    often = np.bincount(video, minlength=len(names)) >= 3
    first = np.full(len(names), np.inf)
    np.minimum.at(first, video, hour)
    rows = np.flatnonzero(often[video])
    rows = rows[np.lexsort((hour[rows], video[rows]))]
    return Panel(video[rows], age[rows], np.log(views[rows]), first[video[rows]])


def _front_page(seen: list[tuple[int, float, int, float]]) -> FrontPage:
    story, hour, upvotes, comments = (np.array([row[k] for row in seen]) for k in range(4))
    rows = np.lexsort((hour, story))
    return FrontPage(story[rows], hour[rows], upvotes[rows], comments[rows])

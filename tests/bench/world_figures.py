"""What is compared: the same figures of an archive, of its halves, and of the simulated world."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from world_archives import Charts, Days, FrontPage, Panel, lags

AGES_H = (3, 6, 12, 18, 24, 36, 48, 72, 96, 120, 168, 240, 336)
LISTED_DAYS = (2, 3, 4, 5, 6, 7, 10, 14)
LATER_DAYS = (1, 2, 3, 4, 5, 6, 7)
AFTER_H = (0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0)
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
LAGS_D = tuple(range(-3, 9))
_LONGEST_DAYS = 18  # a video that starts later may still be listed when the archive ends
_CHANCE_SHIFTS = (-90, -60, 60, 90, 120, 180)


@dataclass(frozen=True)
class Figure:
    """Something to compare.

    Attributes:
        name: key in the results.
        of: what it says.
        x: where the values are.
        measure: gives the values of one set of data.
        unit: of the distance between two sets, which is the mean absolute difference.
    """

    name: str
    of: str
    x: Sequence[float]
    measure: Callable[[Any], list[float]]
    unit: str


# --- Growth --------------------------------------------------------------------------------------


def _slopes(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Video, age, and d ln V / d ln a to the observation a day later."""
    step = np.diff(panel.age)
    pairs = (np.diff(panel.video) == 0) & (step > 18) & (step < 30) & (panel.age[:-1] >= AGES_H[0])
    grown = np.diff(panel.views)[pairs] / np.diff(np.log(panel.age))[pairs]
    return panel.video[:-1][pairs], panel.age[:-1][pairs], grown


def growth(quantile: float) -> Callable[[Panel], list[float]]:
    """A quantile of the growth by age."""

    def measure(panel: Panel) -> list[float]:
        _, age, grown = _slopes(panel)
        edges = (*AGES_H, 480)
        return [
            float(np.quantile(grown[(age >= low) & (age < high)], quantile))
            for low, high in itertools.pairwise(edges)
        ]

    return measure


def persistence(panel: Panel) -> list[float]:
    """Rank correlation of a video's growth with that of the day before, from an age of 24 h."""
    video, age, grown = _slopes(panel)
    pairs = (np.diff(video) == 0) & (np.diff(age) < 30) & (age[:-1] >= 24)
    ranks = [np.argsort(np.argsort(part)) for part in (grown[:-1][pairs], grown[1:][pairs])]
    return [float(np.corrcoef(*ranks)[0, 1])]


def spread(panel: Panel) -> list[float]:
    """Quantiles of ln(views) at 20 to 48 h."""
    young = (panel.age > 20) & (panel.age < 48)
    return _quantiles(panel.views[young])


# --- Charts --------------------------------------------------------------------------------------


def lifetime(charts: Charts) -> list[float]:
    """Share of videos that are listed on so many days."""
    first: dict[str, int] = {}
    listed: dict[str, int] = {}
    for day, ids in enumerate(charts.ids):
        for video in ids:
            first.setdefault(video, day)
            listed[video] = listed.get(video, 0) + 1
    until = len(charts.ids) - _LONGEST_DAYS
    days = np.array([listed[video] for video, day in first.items() if 0 < day < until])
    return [float(np.mean(days >= count)) for count in LISTED_DAYS]


def kept(charts: Charts) -> list[float]:
    """Share of a list that is on the one so many days later."""
    return [
        float(np.mean([
            len(set(one) & set(other)) / len(one)
            for one, other in zip(charts.ids, charts.ids[later:], strict=False)
        ]))
        for later in LATER_DAYS
    ]  # fmt: skip


def moved(charts: Charts) -> list[float]:
    """Mean places by which what stays moves in a day."""
    moves = []
    for one, other in itertools.pairwise(charts.ids):
        place = {video: rank for rank, video in enumerate(one)}
        moves += [abs(rank - place[video]) for rank, video in enumerate(other) if video in place]
    return [float(np.mean(moves))]


def ages(charts: Charts) -> list[float]:
    """Quantiles of the age of what is listed, as logarithms."""
    return _quantiles(np.log(np.maximum(np.concatenate(charts.ages), 0.5)))


# --- Hacker News ---------------------------------------------------------------------------------


def _stories(page: FrontPage) -> list[slice]:
    starts = np.flatnonzero(np.r_[True, np.diff(page.story) != 0])
    ends = np.r_[starts[1:], len(page.story)]
    return [slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]


def score_curve(page: FrontPage) -> list[float]:
    """Mean share of a story's most upvotes, by hours since it was first seen."""
    shares: dict[float, list[float]] = {after: [] for after in AFTER_H}
    for story in _stories(page):
        since = page.hour[story] - page.hour[story][0]
        if len(since) < 4:
            continue
        most = page.upvotes[story].max()
        for after in AFTER_H:
            if since[-1] >= after:
                shares[after].append(float(np.interp(after, since, page.upvotes[story]) / most))
    return [float(np.mean(shares[after])) for after in AFTER_H]


def most_upvotes(page: FrontPage) -> list[float]:
    """Quantiles of the logarithm of a story's most upvotes."""
    return _quantiles(np.log([page.upvotes[story].max() for story in _stories(page)]))


def stay(page: FrontPage) -> list[float]:
    """Quantiles of the hours on the front page."""
    hours = [page.hour[story][-1] - page.hour[story][0] for story in _stories(page)]
    return _quantiles(np.array(hours))


def stories_a_day(page: FrontPage) -> list[float]:
    """Different stories a day."""
    days = (page.hour.max() - page.hour.min()) / 24.0
    return [len(_stories(page)) / float(days)]


# --- Lags ----------------------------------------------------------------------------------------


def lag_shares(sightings: tuple[Days, Days]) -> list[float]:
    """Share of lags from Hacker News to GitHub by day, without what chance alone gives."""
    counts = _lag_counts(sightings, 0)
    chance = np.mean([_lag_counts(sightings, shift) for shift in _CHANCE_SHIFTS], axis=0)
    net = np.maximum(counts - chance, 0.0)
    return [float(share) for share in net / net.sum()]


def _lag_counts(sightings: tuple[Days, Days], shift: int) -> np.ndarray:
    found = lags(*sightings, shift)
    return np.array([found.count(day) for day in LAGS_D], dtype=np.float64)


def _quantiles(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.quantile(values, QUANTILES)]


# --- Comparing -----------------------------------------------------------------------------------

PANEL = (
    Figure("growth", "median of d ln V / d ln a by age in hours", AGES_H, growth(0.5), "slope"),
    Figure("growth_low", "its lower quartile", AGES_H, growth(0.25), "slope"),
    Figure("growth_high", "its upper quartile", AGES_H, growth(0.75), "slope"),
    Figure("growth_persistence", "its rank correlation from day to day", (1,), persistence, "rho"),
    Figure("views", "quantiles of ln(views) at 20 to 48 h", QUANTILES, spread, "ln"),
)
CHARTS = (
    Figure("lifetime", "share of videos listed so many days", LISTED_DAYS, lifetime, "share"),
    Figure("kept", "share of a list left so many days later", LATER_DAYS, kept, "share"),
    Figure("ages", "quantiles of ln(age in hours) on the list", QUANTILES, ages, "ln"),
    Figure("moves", "mean places moved in a day", (1,), moved, "places"),
)
FRONT_PAGE = (
    Figure(
        "score_curve", "share of the most upvotes, by hours seen", AFTER_H, score_curve, "share"
    ),
    Figure("most_upvotes", "quantiles of ln(most upvotes)", QUANTILES, most_upvotes, "ln"),
    Figure("stay", "quantiles of hours on the front page", QUANTILES, stay, "hours"),
    Figure("stories_a_day", "different stories a day", (1,), stories_a_day, "stories"),
)
LAG = Figure("github_lag", "share of lags from Hacker News to GitHub", LAGS_D, lag_shares, "share")


def compare(
    figure: Figure, real: Any, halves: tuple[Any, Any] | None, world: Any
) -> dict[str, Any]:
    """The values of both, how far they are apart, and how far the archive's halves are."""
    values = {"real": figure.measure(real), "simulated": figure.measure(world)}
    result: dict[str, Any] = {
        "of": figure.of,
        "x": list(figure.x),
        **{name: [round(value, 3) for value in each] for name, each in values.items()},
        "unit": figure.unit,
        "apart": round(_apart(values["real"], values["simulated"]), 3),
    }
    if halves is not None:
        both = [figure.measure(half) for half in halves]
        result["halves_apart"] = round(_apart(*both), 3)
    return result


def _apart(one: list[float], other: list[float]) -> float:
    return float(np.mean(np.abs(np.array(one) - np.array(other))))

"""The comparison as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_REAL, _WORLD = "#1f4e79", "#d1660a"
_SHOWN = ("US", "IN", "AU", "NG")
_SHADES = (0.35, 0.55, 0.78, 1.0)


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw the panels to an SVG or PNG file; the same figures give the same file."""
    mpl.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "world", "font.size": 8, "axes.titlesize": 9,
        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    })  # fmt: skip
    picture = Figure(figsize=(10.0, 5.6), layout="constrained")
    axes = picture.subplots(2, 3)
    _growth(axes[0][0], figures["panel"])
    _by_region(axes[0][1], figures, "lifetime", "Days on a list", "videos listed that long")
    _by_region(axes[0][2], figures, "kept", "Turnover", "of the list left")
    _score(axes[1][0], figures["front_page"])
    _quantiles(axes[1][1], figures["front_page"]["stay"])
    _lag(axes[1][2], figures["github_lag"])
    picture.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _growth(axis: Axes, panel: dict[str, Any]) -> None:
    for who, colour in (("real", _REAL), ("simulated", _WORLD)):
        x = panel["growth"]["x"]
        axis.fill_between(
            x, panel["growth_low"][who], panel["growth_high"][who], color=colour, alpha=0.15, lw=0
        )
        axis.plot(x, panel["growth"][who], color=colour, marker="o", ms=3, label=who)
    axis.set(title="Growth of views", xlabel="age, hours", ylabel="d ln V / d ln a, quartiles")
    axis.set_xscale("log")
    axis.legend()


def _by_region(axis: Axes, figures: dict[str, Any], name: str, title: str, what: str) -> None:
    for region, shade in zip(_SHOWN, _SHADES, strict=True):
        figure = figures["charts"][region][name]
        axis.plot(figure["x"], figure["real"], color=_REAL, alpha=shade, marker="o", ms=2.5)
        axis.plot(
            figure["x"], figure["simulated"], color=_WORLD, alpha=shade, marker="s", ms=2.5, ls="--"
        )
        axis.annotate(region, (figure["x"][0], figure["real"][0]), (-14, -2),
                      textcoords="offset points", color=_REAL)  # fmt: skip
    axis.set(title=f"{title}: US, IN, AU, NG", xlabel="days", ylabel=f"share {what}")
    axis.set_xlim(left=figure["x"][0] - 1)


def _score(axis: Axes, page: dict[str, Any]) -> None:
    curve = page["score_curve"]
    axis.plot(curve["x"], curve["real"], color=_REAL, marker="o", ms=3)
    axis.plot(curve["x"], curve["simulated"], color=_WORLD, marker="s", ms=3, ls="--")
    axis.set(title="Hacker News: score", xlabel="hours since first seen", ylim=(0, 1),
             ylabel="share of the most upvotes")  # fmt: skip


def _quantiles(axis: Axes, figure: dict[str, Any]) -> None:
    axis.plot(figure["real"], figure["x"], color=_REAL, marker="o", ms=3)
    axis.plot(figure["simulated"], figure["x"], color=_WORLD, marker="s", ms=3, ls="--")
    axis.set(title="Hacker News: time on the front page", xlabel="hours", ylim=(0, 1),
             ylabel="share of stories")  # fmt: skip


def _lag(axis: Axes, figure: dict[str, Any]) -> None:
    x = figure["x"]
    axis.bar([day - 0.2 for day in x], figure["real"], 0.4, color=_REAL)
    axis.bar([day + 0.2 for day in x], figure["simulated"], 0.4, color=_WORLD)
    axis.set(title="From Hacker News to GitHub's trending list", xlabel="days", ylabel="share")

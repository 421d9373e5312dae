"""M9: shifts of known kind and size in real frames, called by our tests, by KS and by Evidently.

Rows are videos on days of the public panel, seen on at least three days. Videos are dealt at random
into 24 parts, so that nothing differs between parts but chance, and rows of one video stay
together. Twelve parts are the reference, 6,000 rows of them; a window is rows of another part.
Shifts are put into windows of 10 to 10,000 rows. "Nominal" are the methods as they come: ours at a
false discovery rate of 5 %, Kolmogorov-Smirnov with Bonferroni at 5 %, Evidently with its defaults.
"Calibrated" moves each method's threshold until 5 % of other windows without a shift raise any
alarm, and compares detection there. Real weeks against the twelve before them are counted apart:
nobody knows whether they hold a shift.

    YTEMPIRE_DATA_DIR=... python tests/bench/bench_drift.py
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 - a program of its own
from provenance import provenance
from scipy import stats

from ml.monitoring.breaks import DefinitionBreak, judge
from ml.monitoring.profile import CURRENT, profile_frame
from ml.monitoring.shift import MIN_EFFECT, call, compare

_RESULTS = Path(__file__).parent / "results" / "drift.json"
SIZES = (10, 100, 1000, 10_000)
PARTS, REFERENCE_PARTS, REFERENCE_ROWS = 24, 12, 6_000
NUMERIC = (
    "log_views", "like_rate", "comment_rate", "log_likes", "log_comments", "regions", "best_rank",
    "log_duration", "title_chars", "title_words", "title_caps_share", "tag_count", "log_age_h",
    "growth", "published_hour",
)  # fmt: skip
CATEGORICAL = ("category", "language", "title_has_number", "rises")
COLUMNS = (*NUMERIC, *CATEGORICAL)
METHODS = ("ours", "ks_bonferroni", "evidently")
Frame = pd.DataFrame


def panel(folder: Path) -> Frame:
    """Video-days with what can be said of them, and whether the next day grew above the median."""
    folder = folder / "youtube-2025-2026" / "panel"
    days = pd.read_csv(folder / "video_day.csv.xz", parse_dates=["snapshot_date"])
    videos = pd.read_csv(folder / "videos.csv.xz", keep_default_na=False)
    days = days.merge(videos, on="video_id").sort_values(["video_id", "snapshot_date"])
    log_views = np.log1p(days["views"])
    published, fetched = (
        pd.to_datetime(days[name], utc=True, format="ISO8601", errors="coerce")
        for name in ("published_at", "fetched_at")
    )
    by_video = log_views.groupby(days["video_id"])
    ahead = by_video.shift(-1) - log_views
    title = days["title"].str
    frame = pd.DataFrame({
        "video_id": days["video_id"], "day": days["snapshot_date"],
        "log_views": log_views, "growth": log_views - by_video.shift(1),
        "like_rate": days["likes"] / days["views"],
        "comment_rate": days["comments"] / days["views"],
        "log_likes": np.log1p(days["likes"]), "log_comments": np.log1p(days["comments"]),
        "regions": days["n_countries"], "best_rank": days["best_rank"],
        "log_duration": np.log1p(pd.to_numeric(days["duration"], errors="coerce")),
        "title_chars": title.len(), "title_words": title.count(r"\S+"),
        "title_caps_share": title.count(r"[A-Z]") / title.len().clip(lower=1),
        "tag_count": days["tags"].str.count(",") + (days["tags"] != ""),
        "log_age_h": np.log1p((fetched - published).dt.total_seconds().clip(0) / 3600),
        "published_hour": published.dt.hour,
        "category": days["category_name"], "language": days["audio_language"].str[:2],
        "title_has_number": title.contains(r"\d").astype(str),
        "rises": (ahead > ahead.median()).astype(str).where(ahead.notna()),
    })  # fmt: skip
    return frame.astype(dict.fromkeys(NUMERIC, float)).reset_index(drop=True)


SHIFTS: dict[str, tuple[tuple[float, ...], tuple[str, ...]]] = {
    "mean": ((0.2, 0.5, 1.0), ("log_views",)),
    "variance": ((1.3, 1.6, 2.0), ("title_chars",)),
    "category_mix": ((0.1, 0.2, 0.4), ("category",)),
    "label": ((0.1, 0.2, 0.3), ("rises",)),
    "missing": ((0.05, 0.1, 0.3), ("like_rate",)),
    "definition_break": ((1.2, 1.5, 2.0), ("log_views", "like_rate", "comment_rate")),
}


def shift(frame: Frame, kind: str, size: float, random: np.random.Generator, scale: Frame) -> Frame:
    """The window with one shift; `size` is in standard deviations, a factor or a share of rows."""
    frame = frame.copy()
    chosen = random.random(len(frame)) < size
    if kind == "mean":
        frame["log_views"] += size * scale["log_views"].std()
    elif kind == "variance":
        centre = scale["title_chars"].mean()
        frame["title_chars"] = centre + size * (frame["title_chars"] - centre)
    elif kind == "category_mix":
        frame.loc[chosen, "category"] = "Film & Animation"
    elif kind == "label":
        # Rows that do not rise give way to rows that do, with all that goes with it.
        rising = frame.index[frame["rises"] == "True"]
        falling = frame.index[(frame["rises"] == "False") & (random.random(len(frame)) < 2 * size)]
        if len(rising):
            taken = random.choice(rising, len(falling))
            frame.loc[falling, list(COLUMNS)] = frame.loc[taken, list(COLUMNS)].to_numpy()
            frame = frame.astype(dict.fromkeys(NUMERIC, float))
    elif kind == "missing":
        frame.loc[chosen, "like_rate"] = np.nan
    else:
        frame["log_views"] += np.log(size)
        frame[["like_rate", "comment_rate"]] /= size
    return frame


def ours(reference: Frame, window: Frame, columns: tuple[str, ...]) -> dict[str, tuple]:
    """P value and effect by column."""
    both = pd.concat([reference, window])
    blocks = np.concatenate([reference["block"].to_numpy(), np.full(len(window), CURRENT)])
    kinds = [name for name in columns if name in CATEGORICAL]
    numbers = [name for name in columns if name in NUMERIC]
    found = [compare(each) for each in profile_frame(both, blocks, numbers, kinds)]
    return {each.name: each for each in found if each is not None}


def kolmogorov(reference: Frame, window: Frame, columns: tuple[str, ...]) -> dict[str, float]:
    """P values; a category counts as its rank of frequency in the reference."""
    values = {}
    for name in columns:
        before, now = reference[name], window[name]
        if name in CATEGORICAL:
            order = {kind: rank for rank, kind in enumerate(before.value_counts().index)}
            before, now = before.map(order), now.map(order).fillna(len(order))
        before, now = before.dropna(), now.dropna()
        if len(now):
            values[name] = float(stats.ks_2samp(before, now).pvalue)
    return values


def evidently(reference: Frame, window: Frame, columns: tuple[str, ...]) -> dict[str, float]:
    """How far each column is from its default threshold: below 1 it drifts."""
    from evidently.legacy.calculations.stattests import get_stattest

    values = {}
    for name in columns:
        kind = "cat" if name in CATEGORICAL else "num"
        before, now = reference[name].dropna(), window[name].dropna()
        if not len(now):
            continue
        test = get_stattest(before, now, kind, None)
        result = test(before, now, kind, None)
        is_p = "p_value" in test.display_name or "p-value" in test.display_name
        ratio = (
            result.drift_score / result.actual_threshold
            if is_p
            else result.actual_threshold / max(result.drift_score, 1e-12)
        )
        values[name] = float(ratio) if result.drifted == (ratio < 1) else float(not result.drifted)
    return values


TESTS: dict[str, Callable] = {"ours": ours, "ks_bonferroni": kolmogorov, "evidently": evidently}


class Windows:
    """Draws references and windows of random parts."""

    def __init__(self, frame: Frame, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        ids, number = np.unique(frame["video_id"], return_inverse=True)
        part = self.random.integers(0, PARTS, len(ids))[number]
        self.pool = {each: frame[part == each] for each in range(REFERENCE_PARTS, PARTS)}
        before = frame.assign(block=part)[part < REFERENCE_PARTS]
        self.reference = before.sample(REFERENCE_ROWS, random_state=seed)

    def window(self, size: int) -> Frame:
        """Rows of one part that is not in the reference."""
        part = self.pool[int(self.random.integers(REFERENCE_PARTS, PARTS))]
        rows = self.random.choice(len(part), min(size, len(part)), replace=False)
        return part.iloc[rows].reset_index(drop=True)


def scores(reference: Frame, window: Frame, columns: tuple[str, ...] = COLUMNS) -> dict[str, dict]:
    return {name: test(reference, window, columns) for name, test in TESTS.items()}


def strength(found: dict[str, dict]) -> dict[str, dict[str, float]]:
    """One number a column, small for a shift; an effect too small to matter counts as none."""
    own = {
        name: each.p_value if each.effect >= MIN_EFFECT else 1.0
        for name, each in found["ours"].items()
    }
    return {**found, "ours": own}


def called(found: dict[str, dict]) -> dict[str, set[str]]:
    """Columns that each method calls as it comes."""
    ks = found["ks_bonferroni"]
    return {
        "ours": {each.name for each in call(list(found["ours"].values())) if each.is_shifted},
        "ks_bonferroni": {name for name, p in ks.items() if p <= 0.05 / len(COLUMNS)},
        "evidently": {name for name, ratio in found["evidently"].items() if ratio < 1},
    }


def measure(frame: Frame, size: int, asked: argparse.Namespace) -> dict:
    """Alarm rates without a shift and detection rates with one, of windows of one size."""
    begin, windows = time.monotonic(), asked.splits * asked.quiet
    alarms, least = dict.fromkeys(METHODS, 0), {name: [] for name in METHODS}
    cases: list[tuple[str, float, dict[str, set[str]], dict[str, dict[str, float]]]] = []
    for split in range(asked.splits):
        drawn = Windows(frame, split)
        for _ in range(asked.quiet):
            found = scores(drawn.reference, drawn.window(size))
            for name in METHODS:
                alarms[name] += bool(called(found)[name])
                least[name].append(min(strength(found)[name].values(), default=1.0))
        for _ in range(asked.shifted):
            cases += _cases(drawn, size)
    cut = {name: float(np.quantile(least[name], 0.05)) for name in METHODS}
    result = {
        "quiet_windows": windows,
        "shifted_windows": asked.splits * asked.shifted,
        "false_alarms_nominal": {name: alarms[name] / windows for name in METHODS},
        "detection": _rates(cases, cut),
        "seconds": round(time.monotonic() - begin, 1),
    }
    print(size, json.dumps(result), flush=True)
    return result


def _cases(drawn: Windows, size: int) -> list:
    window = drawn.window(size)
    base = scores(drawn.reference, window)
    cases = []
    for kind, (sizes, affected) in SHIFTS.items():
        for much in sizes:
            moved = shift(window, kind, much, drawn.random, drawn.reference)
            touched = COLUMNS if kind == "label" else affected
            again = scores(drawn.reference, moved, touched)
            found = {name: {**base[name], **again[name]} for name in METHODS}
            cases.append((kind, much, called(found), strength(found)))
    return cases


def _rates(cases: list, cut: dict[str, float]) -> dict:
    rates: dict = {}
    for kind, (sizes, affected) in SHIFTS.items():
        for much in sizes:
            these = [case for case in cases if case[:2] == (kind, much)]
            rates[f"{kind} {much:g}"] = {
                name: {
                    "nominal": _share(bool(case[2][name] & set(affected)) for case in these),
                    "calibrated": _share(
                        min(case[3][name].get(each, 1.0) for each in affected) < cut[name]
                        for case in these
                    ),
                }
                for name in METHODS
            }
    return rates


def _share(answers) -> float:
    return round(float(np.mean(list(answers))), 3)


def real_weeks(frame: Frame) -> dict:
    """Real weeks against the twelve before: share of windows with any alarm, by size."""
    week = ((frame["day"] - frame["day"].min()).dt.days // 7).to_numpy()
    result = {}
    for size in (300, 1000, 10_000):
        counts = {name: 0 for name in METHODS}
        weeks = range(12, int(week.max()))
        for now in weeks:
            rows = frame.assign(block=week)[(week >= now - 12) & (week < now)]
            reference = rows.sample(REFERENCE_ROWS, random_state=now)
            part = frame[week == now]
            found = called(scores(reference, part.sample(min(size, len(part)), random_state=now)))
            for name in METHODS:
                counts[name] += bool(found[name])
        result[str(size)] = {"weeks": len(weeks), **{n: c / len(weeks) for n, c in counts.items()}}
    return result


def breaks_told_apart(frame: Frame, splits: int) -> dict:
    """Shares of shifted columns called a break: on its day, and when the same shift comes later."""
    start = datetime.fromisoformat("2025-12-10T00:00:00+00:00")
    starts = {part: start + part * timedelta(days=7) for part in range(REFERENCE_PARTS)}
    dated = {"on_the_day": date(2026, 3, 5), "weeks_later": date(2026, 1, 1), "no_row": None}
    counts = {name: [0, 0] for name in dated}
    for split in range(splits):
        drawn = Windows(frame, split)
        moved = shift(drawn.window(1000), "definition_break", 1.5, drawn.random, drawn.reference)
        both = pd.concat([drawn.reference, moved])
        blocks = np.concatenate([drawn.reference["block"], np.full(len(moved), CURRENT)])
        affected = ("log_views", "like_rate", "comment_rate")
        profiles = profile_frame(both, blocks, NUMERIC, CATEGORICAL)
        for name, day in dated.items():
            rows = [DefinitionBreak("youtube", "views", day, "", "", affected)] if day else []
            shifts, across = judge(profiles, starts, rows)
            counts[name][0] += sum(each.is_shifted for each in shifts if each.name in affected)
            counts[name][1] += len(across)
    return {
        name: {"shifted_columns_called": called, "of_them_called_a_break": broken}
        for name, (called, broken) in counts.items()
    }


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--quiet", type=int, default=10, help="windows without a shift a split")
    parser.add_argument("--shifted", type=int, default=2, help="windows with shifts a split")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", module="scipy")
    frame = panel(Path(os.environ["YTEMPIRE_DATA_DIR"]))
    found: dict = {
        **provenance(), "load_average": os.getloadavg()[0], "columns": len(COLUMNS),
        "reference_rows": REFERENCE_ROWS, "splits": asked.splits,
        "definition_breaks": breaks_told_apart(frame, asked.splits), "by_rows": {},
    }  # fmt: skip
    for size in SIZES:
        found["by_rows"][str(size)] = measure(frame, size, asked)
        _RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    found["real_weeks_any_alarm"] = real_weeks(frame)
    _RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

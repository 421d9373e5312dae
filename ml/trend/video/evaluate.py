"""What `trend_video` and the plain methods beside it reach on rows with known outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.measures import binary_measures, growth_measures, ranking_measures
from ml.trend.video.heads import EVENT_HEADS, GROWTH_HEADS, MIN_EVENTS

if TYPE_CHECKING:
    import pandas as pd

    from ml.trend.video.model import TrendModel

Figures = dict[str, float]

# A group of fewer rows measures little, and a table of all countries is read by nobody.
_MIN_GROUP, _MOST_GROUPS = 100, 12
_SIZES = {"under 100,000": 11.5, "to a million": 13.8, "over a million": np.inf}


def measure(model: TrendModel, frame: pd.DataFrame) -> dict[str, dict[str, Figures]]:
    """Measure every head on those rows whose label is known.

    Args:
        model: with its baselines, or without.
        frame: first predictions (`entity_day` 1) with features and labels.

    Returns:
        By head (`rising`, `growth_48h`, `growth_7d`, `breakout`, `listed`) the figures of `model`
        and of each baseline. A head without enough rows of both kinds is left out.
    """
    said = model.predict(frame)
    found = {"rising": _rising(model, frame, said)}
    found.update({name: _growth(model, name, frame, said) for name in GROWTH_HEADS})
    found.update({name: _event(model, name, frame, said) for name in EVENT_HEADS})
    return {name: figures for name, figures in found.items() if figures}


def by_group(
    model: TrendModel, frame: pd.DataFrame, shown: pd.DataFrame | None = None
) -> dict[str, dict[str, Figures]]:
    """The rising call by year, category, language, channel size and, where known, by country.

    Args:
        model: what is measured.
        frame: first predictions with features and labels.
        shown: rows `video_id`, `country` of the charts that listed each video; one that several
            countries listed counts in each.

    Returns:
        By kind of group and group accuracy, AUC, calibration error and rows; the groups with at
        least 100 rows of both outcomes, the 12 largest of a kind.
    """
    import pandas as pd

    sizes = pd.cut(
        frame["channel_median_log_views_before"], [-1, *_SIZES.values()], labels=list(_SIZES)
    )
    groups = {
        "year": frame["event_timestamp"].dt.year,
        "category": frame["category_id"].astype("Int64"),
        "language": frame["language"].fillna("und").str.lower().str.split("-").str[0],
        "channel": sizes.cat.add_categories("new").fillna("new"),
    }
    probability = model.predict_proba(frame)
    said = frame[["video_id"]].assign(
        probability=probability,
        rising=probability >= model.specification.decision_threshold,
        outcome=(frame["growth_48h"] > model.specification.growth_threshold).astype(int),
    )
    parts = {name: said.groupby(values, observed=True) for name, values in groups.items()}
    if shown is not None:
        parts["country"] = said.merge(shown, on="video_id").groupby("country")
    return {name: found for name, grouped in parts.items() if (found := dict(_largest(grouped)))}


def _largest(grouped: Any) -> Iterator[tuple[str, Figures]]:
    sizes = grouped.size().sort_values(ascending=False, kind="stable")
    for value in sizes[sizes >= _MIN_GROUP].index[:_MOST_GROUPS]:
        rows = grouped.get_group(value)
        outcome = rows["outcome"].to_numpy()
        if 0 < outcome.sum() < len(outcome):
            figures = binary_measures(
                outcome, rows["probability"].to_numpy(), rows["rising"].to_numpy()
            )
            yield str(value), {key: figures[key] for key in ("accuracy", "auc", "ece", "rows")}


def flat(measured: Mapping[str, Mapping[str, Figures]]) -> dict[str, Figures]:
    """One table a method: the call's figures as they are, those of other heads by their names."""
    tables: dict[str, Figures] = {}
    for head, methods in measured.items():
        for method, figures in methods.items():
            prefix = "" if head == "rising" else f"{head}_"
            named = {f"{prefix}{key}": value for key, value in figures.items()}
            tables.setdefault(method, {}).update(named)
    return tables


def _rising(model: TrendModel, frame: pd.DataFrame, said: pd.DataFrame) -> dict[str, Figures]:
    known = frame["growth_48h"].notna().to_numpy()
    rows, threshold = frame[known], model.specification.growth_threshold
    outcome = (rows["growth_48h"] > threshold).to_numpy().astype(int)
    if not 0 < outcome.sum() < len(outcome):
        return {}
    own = said[known]
    figures = binary_measures(outcome, own["probability"].to_numpy(), own["rising"].to_numpy())
    rivals = model.baselines.measure_rising(rows, outcome, threshold) if model.baselines else {}
    return {"model": figures, **rivals}


def _growth(
    model: TrendModel, name: str, frame: pd.DataFrame, said: pd.DataFrame
) -> dict[str, Figures]:
    known = frame[name].notna().to_numpy()
    if name not in model.forests or known.sum() < MIN_EVENTS:
        return {}
    actual, own = frame.loc[known, name].to_numpy(), said[known]
    inside = (actual >= own[f"{name}_p10"]) & (actual <= own[f"{name}_p90"])
    figures = growth_measures(own[f"{name}_point"].to_numpy(), actual)
    # The median forecast is the one that minimises it.
    figures["median_abs_log_error"] = float(np.median(np.abs(own[f"{name}_p50"] - actual)))
    figures |= {"coverage": float(inside.mean()), "rows": float(known.sum())}
    rivals = model.baselines.measure_growth(frame[known], actual, name) if model.baselines else {}
    return {"model": figures, **rivals}


def _event(
    model: TrendModel, name: str, frame: pd.DataFrame, said: pd.DataFrame
) -> dict[str, Figures]:
    label = EVENT_HEADS[name][0]
    known = frame[label].notna().to_numpy()
    outcome = (frame.loc[known, label] > _threshold(model, name)).to_numpy().astype(int)
    if name not in model.forests or not 0 < outcome.sum() < len(outcome):
        return {}
    probability = said.loc[known, f"{name}_probability"].to_numpy()
    figures = {
        **ranking_measures(outcome, probability),
        "accuracy": float(((probability >= 0.5) == outcome).mean()),
        "base_rate": float(outcome.mean()),
        "rows": float(known.sum()),
    }
    rivals = model.baselines.measure_event(frame[known], outcome, name) if model.baselines else {}
    return {"model": figures, **rivals}


def _threshold(model: TrendModel, name: str) -> Any:
    facts = model.specification.heads.get(name)
    return facts.threshold if facts else np.inf

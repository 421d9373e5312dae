"""Train `trend_topic`, measure it against the plain methods and register it."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.gates import run_gate
from ml.registry import cards, training
from ml.registry.releases import Candidate, Release
from ml.settings import Settings, get_settings
from ml.trend.topic.candidates import NAME, load_params, recipe_digest
from ml.trend.topic.dataset import QUERY, TopicDataset, build_folds, read_dataset
from ml.trend.topic.evaluate import GATE_METRIC
from ml.trend.topic.fitting import Fitted, fit_and_measure
from ml.trend.topic.folds import Folds

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_PACKAGES = (
    "numpy", "pandas", "scipy", "xgboost-cpu", "xgboost", "torch", "statsforecast", "prophet",
)  # fmt: skip
# Columns of the card; the rest is in the tags.
_SHOWN = ("smape_48h", "mase_48h", "smape_7d", "mase_7d", "auc_rises", GATE_METRIC)
_LIMITS = (
    "Volume is how many items of a topic all sources showed in a day: how much it is listed, not"
    " how many people watch.",
    "Topics with fewer than {min_recent} items in 28 days are not forecast.",
    "Measured on the {max_series} series with most volume in each of {test_folds} rolling origins;"
    " the methods were fitted once, before the first of them.",
    "Which items belong to a topic is taken as it is now: an assignment that was corrected later"
    " is seen in the past as well.",
    "A topic whose past came to be known more than {grace_days} day late is left out of the folds"
    " that it would have misled.",
    "Intervals hold 80 % of the totals of the validation folds; after a change of what sources"
    " list they do not.",
)


def train_topic(
    as_of: datetime, settings: Settings | None = None, params: dict[str, Any] | None = None
) -> Release:
    """Choose, fit, measure and register `trend_topic` on what was known at `as_of`.

    The same data, parameters and code give the version that exists already.

    Args:
        as_of: "now"; no later day is used.
        settings: those of the process by default.
        params: those kept in the repository by default.

    Raises:
        TooFewRowsError: if there is too little history or volume.
        GateError: if the training rows are not fit for use.
    """
    settings = settings or get_settings()
    params = params or load_params()
    dataset = read_dataset(as_of, params, settings)
    folds = build_folds(dataset, params)
    digest = folds.panel.digest()
    key = training.fingerprint(digest, params, recipe_digest())
    return training.train_once(
        NAME,
        key,
        lambda job: _train(dataset, folds, key, job, settings),
        method="forecast",
        data_digest=digest,
        params=params,
        settings=settings,
    )


@contextmanager
def _train(
    dataset: TopicDataset, folds: Folds, key: str, job: training.Job, settings: Settings
) -> Iterator[Candidate]:
    """Check, choose, fit and measure; the candidate's folder exists inside the context."""
    params = folds.params
    run_gate(
        "training_trend_topic",
        run_id=job.id,
        as_of=dataset.bounds["as_of"],
        frame=dataset.frame,
        settings=settings,
    )
    release, champion = training.usable_champion(NAME, settings)
    incumbent = champion.get_raw_model() if champion else None
    fitted = fit_and_measure(folds, incumbent, checkpoints=job.checkpoints)
    facts = _facts(dataset, folds, fitted)
    known = dataset.frame["volume"].notna()
    example = _example(dataset.frame[known])
    with tempfile.TemporaryDirectory() as folder:
        fitted.model.save(Path(folder) / NAME)
        yield Candidate(
            name=NAME,
            model_type=fitted.study.winner,
            fingerprint=key,
            folder=Path(folder) / NAME,
            loader_module="ml.trend.topic.loader",
            gate_metric=GATE_METRIC,
            metrics=fitted.table,
            params=params,
            tags={**facts, "model_type": fitted.study.winner, "params": json.dumps(params)},
            card=_card(dataset, facts, fitted, params),
            dataset=dataset.frame[known],
            dataset_source="marts.fct_topic_momentum, marts.fct_segment_topic_engagement",
            target="volume",
            example=example,
            prediction=fitted.model.predict(example),
            pip_requirements=training.installed(_PACKAGES),
            incumbent=release.mlflow_version if release else None,
            runs=_tried(fitted),
            artifacts={
                "dataset.sql": QUERY,
                "validation.json": json.dumps(fitted.study.table, indent=1),
                "validation_by_fold.json": json.dumps(fitted.study.by_fold, indent=1),
                "verdicts.json": json.dumps(fitted.study.verdicts, indent=1),
            },
        )


def _tried(fitted: Fitted) -> dict[str, dict[str, float]]:
    """Figures on validation: of each method in all, and of each fold by method."""
    tried = {f"validation: {name}": figures for name, figures in fitted.study.table.items()}
    folds: dict[str, dict[str, float]] = {}
    for method, by_origin in fitted.study.by_fold.items():
        for origin, value in by_origin.items():
            folds.setdefault(f"fold {origin}", {})[f"mase_7d.{method}"] = value
    return tried | folds


def _example(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the two series with most volume of late, without when they were known."""
    last = frame["at"].max()
    recent = frame[frame["at"] > last - np.timedelta64(28, "D")]
    top = recent.groupby("series")["volume"].sum().nlargest(2).index
    rows = frame[frame["series"].isin(top)].drop(columns="known_at")
    return rows.assign(at=rows["at"].dt.tz_localize(None)).reset_index(drop=True)


def _facts(dataset: TopicDataset, folds: Folds, fitted: Fitted) -> dict[str, str]:
    panel = folds.panel

    def day(place: int) -> str:
        return str(np.datetime64(panel.start + place, "D"))

    return {
        "candidate": fitted.study.winner,
        "parts": json.dumps({part.name: part.weights for part in fitted.model.parts}),
        "as_of": dataset.bounds["as_of"].isoformat(),
        "first_day": day(0),
        "last_day": day(panel.steps - 1),
        "series": str(len(panel.names)),
        "validation_origins": ", ".join(day(place) for place in folds.validation),
        "test_origins": ", ".join(day(place) for place in folds.test),
        "validation_windows": str(len(fitted.study.windows)),
        "test_windows": f"{fitted.table['model']['rows']:.0f}",
        "coverage_48h": f"{fitted.table['model']['coverage_48h']:.3f}",
        "coverage_7d": f"{fitted.table['model']['coverage_7d']:.3f}",
        "is_synthetic": str(dataset.is_synthetic).lower(),
        "data_digest": panel.digest(),
        "code_digest": recipe_digest(),
    }


def _card(dataset: TopicDataset, facts: dict[str, str], fitted: Fitted, params: Any) -> str:
    population = "the simulated world" if dataset.is_synthetic else "public lists"
    shown = {
        rival: {name: figures[name] for name in _SHOWN} for rival, figures in fitted.table.items()
    }
    card = cards.model_card(
        NAME,
        "How many items of a topic, or of a category in a country, all sources will show in the"
        " next 48 hours and 7 days, with 80 % intervals, and the probability that the topic rises:"
        " that its 48 hours are above the 80 % quantile of its own last 28 days. The method is"
        f" `{fitted.study.winner}`, chosen on the validation folds. `{GATE_METRIC}` is the share of"
        " the best baseline's error that is saved, at the measure where it is least."
        f" Population: {population}.",
        facts,
        shown,
        [limit.format(**params) for limit in _LIMITS],
    )
    refused = [
        f"- {name}: {'may ship' if not reason else 'refused, ' + reason}"
        for name, reason in fitted.study.verdicts.items()
        if name not in params["baselines"]
    ]
    columns = _SHOWN[:-2]
    table = [
        f"| {name} | " + " | ".join(f"{figures[c]:.4f}" for c in columns) + " |"
        for name, figures in fitted.study.table.items()
    ]
    head = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join(
        [card, "## Candidates on the validation folds", *head, *table, "", *refused, ""]
    )

"""Train `trend_story`, measure it against the plain methods and register it."""

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

from ml.evidence import calibration_picture
from ml.gates import run_gate
from ml.measures import calibration_table
from ml.registry import cards, training
from ml.registry.releases import Candidate, Release
from ml.settings import PROJECT_ROOT, Settings, get_settings
from ml.trend.story.dataset import (
    Split,
    StoryDataset,
    build_dataset,
    has_reached,
    has_stayed,
    load_params,
    split_in_time,
)
from ml.trend.story.evaluate import measure
from ml.trend.story.matrix import model_input
from ml.trend.story.model import StoryModel, fit

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

NAME = "trend_story"
GATE_METRIC = "auc"
_PACKAGES = ("xgboost-cpu", "xgboost", "numpy", "pandas", "scikit-learn")
# Columns of a dataset that are no features of the service.
_ENTITY = frozenset({"story_id", "event_timestamp", "label_known_at", "most_upvotes", "sights"})
_LIMITS = (
    "About stories that came to the front page, places 1 to 30, with at most 30 upvotes; of others"
    " it has seen nothing.",
    "The table is about stories that were seen at least three times (M5), which nobody knows in"
    " the first hour; `served_` figures are about all of them, by the probability that is served.",
    "Learned from sights about half an hour apart: where they are rarer, the first hour says less.",
    "Says whether people vote for a story, not whether it is true or worth telling.",
)


def train_story(
    as_of: datetime, settings: Settings | None = None, params: dict[str, Any] | None = None
) -> Release:
    """Train, measure and register `trend_story` on what was known at `as_of`.

    The same data, parameters and code give the version that exists already.

    Args:
        as_of: "now"; no later row is used.
        settings: those of the process by default.
        params: those kept in the repository by default.

    Raises:
        TooFewRowsError: if there are too few stories with outcomes.
        GateError: if the training rows are not fit for use.
        MissingFeatureError: if a story lacks a required feature.
    """
    settings = settings or get_settings()
    params = params or load_params()
    dataset = build_dataset(as_of, params, settings)
    split = split_in_time(dataset.frame, params)
    key = training.fingerprint(dataset.digest, params, _code_digest())
    return training.train_once(
        NAME,
        key,
        lambda job: _train(dataset, split, params, key, job, settings),
        method="xgboost",
        data_digest=dataset.digest,
        params=params,
        settings=settings,
    )


def feature_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """The service's features among the columns of a dataset, in order."""
    return tuple(name for name in frame.columns if name not in _ENTITY)


@contextmanager
def _train(
    dataset: StoryDataset,
    split: Split,
    params: dict[str, Any],
    key: str,
    job: training.Job,
    settings: Settings,
) -> Iterator[Candidate]:
    """Check, fit and measure; the candidate's folder exists inside the context."""
    run_gate(
        "training_trend_story",
        run_id=job.id,
        as_of=dataset.as_of,
        frame=dataset.frame,
        settings=settings,
    )
    columns = feature_columns(dataset.frame)
    model = fit(split, columns, params, dataset.required)
    metrics = measure(model, split.test)
    incumbent, figures = training.measure_champion(
        NAME,
        lambda champion, _: measure(champion.get_raw_model(), split.test)["model"],
        settings,
    )
    metrics |= figures
    facts = _facts(dataset, split, model)
    calibration = _calibration(model, split.test)
    example = model_input(split.test.head(5), columns)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / NAME)
        yield Candidate(
            name=NAME,
            model_type="xgboost",
            fingerprint=key,
            folder=Path(folder) / NAME,
            loader_module="ml.trend.story.loader",
            gate_metric=GATE_METRIC,
            metrics=metrics,
            params=params,
            tags={**facts, "model_type": "xgboost", "params": json.dumps(params)},
            card=_card(dataset, facts, metrics, calibration),
            dataset=_logged(split, columns),
            dataset_source=f"feast:{params['feature_service']}",
            target="reached",
            example=example,
            prediction=model.predict(example),
            pip_requirements=training.installed(_PACKAGES),
            incumbent=incumbent,
            artifacts={
                "dataset.sql": dataset.query,
                "signals.json": _signals(model, split.test),
                "calibration.svg": calibration_picture(calibration),
            },
        )


def _calibration(model: StoryModel, part: pd.DataFrame) -> list[tuple[float, float, int]]:
    kept = part[has_stayed(part)]
    said = model.predict(kept)["reach_probability"].to_numpy()
    return calibration_table(has_reached(kept), said)


def _signals(model: StoryModel, part: pd.DataFrame) -> str:
    """Mean absolute contribution of each feature on a part, in log odds, the largest first."""
    moved = model.contributions(part)
    means = {name: float(np.abs(moved[name]).mean()) for name in moved}
    ordered = sorted(means.items(), key=lambda item: -item[1])
    return json.dumps({name: round(value, 5) for name, value in ordered}, indent=1)


def _facts(dataset: StoryDataset, split: Split, model: StoryModel) -> dict[str, str]:
    spec = model.specification
    return {
        "feature_service": spec.feature_service,
        "decision_threshold": str(spec.decision_threshold),
        "calibration": spec.reach.kind,
        "calibration_stay": spec.stay.kind if spec.stay else "none: nearly all stay",
        "as_of": dataset.as_of.isoformat(),
        **training.part_facts(split.train, split.validation, split.test),
        "is_synthetic": str(dataset.is_synthetic).lower(),
        "data_digest": dataset.digest,
        "code_digest": _code_digest(),
    }


def _card(
    dataset: StoryDataset,
    facts: dict[str, str],
    metrics: dict[str, dict[str, float]],
    calibration: list[tuple[float, float, int]],
) -> str:
    own = metrics["model"]
    served = {name: f"{value:.4f}" for name, value in own.items() if name.startswith("served_")}
    shared = [name for name in own if name not in served]
    population = "the simulated world" if dataset.is_synthetic else "public front pages"
    return cards.model_card(
        NAME,
        "Probability that a Hacker News story that comes to the front page with at most 30 upvotes"
        " has 100 or more within 48 hours, from its first hour there. For the content plan and the"
        f" API's trend predictions. Population: {population}.",
        {**facts, **served},
        {rival: {name: values[name] for name in shared} for rival, values in metrics.items()},
        _LIMITS,
        calibration,
    )


def _logged(split: Split, columns: tuple[str, ...]) -> pd.DataFrame:
    """The training part as it is described to MLflow."""
    outcome = has_reached(split.train).astype(float)
    return model_input(split.train, columns).assign(reached=outcome)


def _code_digest() -> str:
    features = PROJECT_ROOT / "feature_repo" / "features.py"
    folder = Path(__file__).parent
    return training.code_digest(folder, folder.parent / "calibration.py", features)

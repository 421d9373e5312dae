"""From a panel to a model with figures: study, refit, measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ml.registry.checkpoints import Arrays, Checkpoints
from ml.trend.topic.candidates import Part, forecaster, stack_weights
from ml.trend.topic.choose import Study, study, whole
from ml.trend.topic.evaluate import HORIZON_DAYS, Figures, Table, measure, with_gains
from ml.trend.topic.folds import Folds
from ml.trend.topic.model import TopicModel, conformal
from ml.trend.topic.rises import distance, fit_rises
from ml.trend.topic.series import Windows
from ml.trend.topic.trees import Trees

_LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class Fitted:
    """A model, what validation found, and the figures of the test folds."""

    model: TopicModel
    study: Study
    table: Table


def fit_and_measure(
    folds: Folds,
    champion: TopicModel | None = None,
    progress: Callable[[str], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Fitted:
    """Choose on validation, refit on all that was over before the test, measure on the test.

    Weights, intervals and the blend of rises are fitted on the validation folds, with methods that
    have not learned from them.

    Args:
        folds: of the panel.
        champion: an incumbent that is measured on the same windows.
        progress: is told what is done.
        checkpoints: of this training.
    """
    found = study(folds, progress, checkpoints)
    model = _fit(folds, found, checkpoints)
    windows, params = folds.test_windows(), folds.params
    table: Table = {"model": measure_model(model, windows)}
    for name in params["baselines"]:
        # A baseline that won is the model: it cannot be asked to beat itself.
        if name != found.winner:
            table[name] = measure_plain(name, params, windows)
    if champion is not None:
        table["champion"] = measure_model(champion, windows)
    return Fitted(model, found, with_gains(table, params["baselines"]))


def measure_model(model: TopicModel, windows: Windows) -> Figures:
    """SMAPE, MASE, AUC of rises, their Brier score, and the coverage of the intervals."""
    said = model.forecast(windows)
    figures = measure(windows, said.volumes, said.rises)
    for name, days in HORIZON_DAYS.items():
        total = windows.outcome()[:, : days * windows.steps_per_day].sum(axis=1)
        known = ~np.isnan(total)
        inside = (total >= said.totals[name][:, 1]) & (total <= said.totals[name][:, 2])
        figures[f"coverage_{name}"] = float(inside[known].mean())
    outcome = windows.rises()
    figures["brier_rises"] = float(np.nanmean((said.rises - outcome) ** 2))
    figures["share_rises"] = float(np.nanmean(outcome))
    figures["rows"] = float(len(windows))
    return figures


def measure_plain(name: str, params: Mapping[str, Any], windows: Windows) -> Figures:
    """The same measures of a plain method, which orders rises by how far it is above the threshold.

    Args:
        name: of one of the `baselines` of the parameters.
        params: of the model.
        windows: whose futures are known.
    """
    method = forecaster(name, params["methods"][name], params["seed"])
    forecast = method.forecast({}, windows)
    return measure(windows, whole(forecast), distance(windows, forecast))


def _fit(folds: Folds, found: Study, checkpoints: Checkpoints | None) -> TopicModel:
    params, seed = folds.params, folds.params["seed"]
    members = params["stacks"].get(found.winner, [found.winner])
    weights = [(1.0, 1.0)]
    if len(members) > 1:
        weights = stack_weights([found.raw[name] for name in members], found.windows)
    early = folds.training_windows(folds.validation[0])
    width = Trees(seed=seed).fit(early)
    rises = fit_rises(early, seed).blended(found.windows, found.raw[found.winner])
    intervals = conformal(width, found.windows, found.raw[found.winner], params["coverage"])
    # What weighs nothing need not be asked.
    parts = [
        Part(name, params["methods"][name], {}, pair)
        for name, pair in zip(members, weights, strict=True)
        if max(pair) > _LEAST_WEIGHT
    ]
    options = {key: params[key] for key in ("min_recent", "history_days", "grace_days")}
    chosen = TopicModel(parts, width, rises, intervals, seed=seed, options=options)
    return refit(folds, chosen, checkpoints)


def refit(folds: Folds, model: TopicModel, checkpoints: Checkpoints | None = None) -> TopicModel:
    """The same methods, weights and intervals, fitted on all that was over before the test.

    Args:
        folds: of the panel; their seed is used.
        model: what is fitted again.
        checkpoints: of this training.
    """
    kept = checkpoints or Checkpoints()
    windows, seed = folds.training_windows(folds.test[0]), folds.params["seed"]

    def fitted(part: Part) -> Arrays:
        return forecaster(part.name, part.options, seed).fit(windows)

    parts = [
        replace(part, arrays=kept.arrays(f"final {part.name}", partial(fitted, part)))
        for part in model.parts
    ]
    rises = replace(model.rises, forest=fit_rises(windows, seed).forest)
    width = Trees(seed=seed).fit(windows)
    return TopicModel(parts, width, rises, model.intervals, seed=seed, options=dict(model.options))

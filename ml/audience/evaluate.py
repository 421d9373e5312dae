"""Measures of recommendations, the choice among candidates, and a check on files of one's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.audience.files import read_case
from ml.audience.interactions import Held, Interactions, hold_out
from ml.audience.model import (
    NAME,
    TOP,
    AudienceModel,
    Workshop,
    load_params,
    recipe_digest,
    top_items,
)
from ml.audience.recommenders import Scores
from ml.registry.checkpoints import Checkpoints

log = logging.getLogger(__name__)

GATE_METRIC = "ndcg_at_10"
_RARE = 5
Ranks = npt.NDArray[np.float64]
Progress = Callable[[str], None]


def sample_negatives(data: Interactions, held: Held, count: int, seed: int) -> npt.NDArray[np.intp]:
    """Items that each held-out user never took to, shape (users, count), drawn without repeats.

    Args:
        data: the rows without the held-out ones.
        held: the held-out items, which are no negatives either.
        count: how many; fewer where the catalogue is too small for the user with the most items.
        seed: of the draw.
    """
    taken = data.matrix().toarray()[held.user] > 0
    taken[np.arange(len(held.item)), held.item] = True
    count = min(count, taken.shape[1] - int(taken.sum(axis=1).max(initial=0)))
    # The first of a random order of all items, the taken ones moved to its end.
    order = np.random.default_rng(seed).random(taken.shape)
    order[taken] = 2.0
    drawn = np.argpartition(order, max(count - 1, 0), axis=1)[:, :count]
    return np.asarray(drawn, dtype=np.intp)


def sampled_ranks(scores: Scores, held: Held, negatives: npt.NDArray[np.intp]) -> Ranks:
    """Place of each held-out item among its negatives, 0 is the top; equal scores share places.

    Args:
        scores: shape (held-out users, items).
        held: the held-out items, in the order of the rows of `scores`.
        negatives: shape (held-out users, negatives); -1 stands for none.
    """
    own = np.take_along_axis(scores, held.item[:, None], axis=1)
    others = np.take_along_axis(scores, np.maximum(negatives, 0), axis=1)
    there = negatives >= 0
    above = ((others > own) & there).sum(axis=1)
    equal = ((others == own) & there).sum(axis=1)
    return np.asarray(above + 0.5 * equal, dtype=np.float64)


def hit_and_gain(ranks: Ranks) -> tuple[float, float]:
    """HR@10 and NDCG@10 with one relevant item a user (He et al. 2017)."""
    return float((ranks < TOP).mean()), float(gains(ranks).mean())


def gains(ranks: Ranks) -> Ranks:
    """NDCG@10 of each rank, with one relevant item."""
    return np.where(ranks < TOP, 1 / np.log2(ranks + 2), 0.0)


def ranks_by_draw(
    scores: Scores, data: Interactions, held: Held, params: Mapping[str, Any]
) -> Ranks:
    """Places of the held-out items by draw of negatives, shape (seeds, held-out users).

    Args:
        scores: shape (held-out users, items).
        data: the rows without the held-out ones.
        held: the held-out items.
        params: of the model.
    """
    count = params["sampled_negatives"]
    return np.array(
        [
            sampled_ranks(scores, held, sample_negatives(data, held, count, seed))
            for seed in params["negative_seeds"]
        ]
    )


def measure(
    model: AudienceModel, data: Interactions, held: Held, params: Mapping[str, Any]
) -> dict[str, float]:
    """All measures of one model on held-out items.

    Returns:
        `hr_at_10` and `ndcg_at_10` against sampled negatives, the mean of the seeds, with `_std`;
        `full_` the same against the whole catalogue that the user has not taken to; `coverage` the
        share of the catalogue that is in anyone's top 10; `novelty` the mean of -log2 of the share
        of users of a recommended item; `hr_at_10_short` of the users with a history below the
        lower quartile; `hr_at_10_rare` of the items with at most 5 users, where there are any.
    """
    scores = model.score(data)[held.user]
    draws = ranks_by_draw(scores, data, held, params)
    pairs = np.array([hit_and_gain(ranks) for ranks in draws])
    hits = np.mean(draws < TOP, axis=0)
    lengths = data.history_lengths()[held.user]
    short = lengths <= np.quantile(lengths, 0.25)
    rare = data.counts()[held.item] <= _RARE
    figures = {
        "hr_at_10": pairs[:, 0].mean(),
        "ndcg_at_10": pairs[:, 1].mean(),
        "hr_at_10_std": pairs[:, 0].std(),
        "ndcg_at_10_std": pairs[:, 1].std(),
        **_full_catalogue(scores, data, held),
        "hr_at_10_short": hits[short].mean(),
        "rows": float(len(held.user)),
        "rows_rare": float(rare.sum()),
    }
    if rare.any():
        figures["hr_at_10_rare"] = hits[rare].mean()
    return {key: float(value) for key, value in figures.items()}


def _full_catalogue(scores: Scores, data: Interactions, held: Held) -> dict[str, float]:
    taken = data.matrix().toarray()[held.user] > 0
    free = np.where(taken, -np.inf, scores)
    own = np.take_along_axis(free, held.item[:, None], axis=1)
    ranks = (free > own).sum(axis=1) + 0.5 * ((free == own).sum(axis=1) - 1)
    hit, gain = hit_and_gain(np.asarray(ranks, dtype=np.float64))
    best = top_items(free, min(TOP, free.shape[1]))
    share = np.maximum(data.counts(), 1) / len(data.users)
    return {
        "full_hr_at_10": hit,
        "full_ndcg_at_10": gain,
        "coverage": len(np.unique(best)) / scores.shape[1],
        "novelty": float(-np.log2(share[best]).mean()),
    }


def choose(
    data: Interactions,
    params: Mapping[str, Any],
    progress: Progress | None = None,
    allowed: Sequence[str] | None = None,
    checkpoints: Checkpoints | None = None,
) -> tuple[str, dict[str, dict[str, float]]]:
    """The candidate with the best NDCG@10 on the latest row of each user of `data`.

    Every candidate is fitted without those rows.

    Args:
        data: training rows; what will be tested is not among them.
        params: of the model.
        progress: is told each candidate's figures.
        allowed: only these candidates; all by default.
        checkpoints: of the training.

    Returns:
        Its name, and the measures of all candidates by name.
    """
    rest, held = hold_out(data, params["seed"])
    workshop = Workshop(rest, params, checkpoints, "validation")
    figures = {}
    for name in workshop.candidates():
        if allowed is not None and name not in allowed:
            continue
        figures[name] = measure(workshop.model(name), rest, held, params)
        line = (
            f"validation {name}: HR@10 {figures[name]['hr_at_10']:.4f},"
            f" NDCG@10 {figures[name]['ndcg_at_10']:.4f}"
        )
        log.info("%s", line)
        if progress:
            progress(line)
    return max(figures, key=lambda name: figures[name][GATE_METRIC]), figures


def evaluate_files(
    train: Path,
    test: Path,
    negatives: Path,
    *,
    seed: int = 42,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Refit the recipe on `train` and rank each item of `test` among its negatives.

    The recipe is what training does: candidates are compared on the latest row of each user of
    `train`, and the best one is fitted on all of it. No service is needed.

    Args:
        train: rows `user item rating timestamp`, tab-separated, or a CSV; rating and timestamp
            may be absent.
        test: the same; its users and items are those of `negatives`.
        negatives: first column `(user,item)`, then items, tab-separated.
        seed: of everything that is drawn.
        progress: is told what is done.

    Returns:
        `model`, `version`, `rows`, `hr_at_10`, `ndcg_at_10`, and in `M7` these with `candidate`,
        `validation` (NDCG@10 by candidate), `baselines` and what was unknown.

    Raises:
        FatalError: if a file cannot be read or lacks a column; the message names it.
    """
    say = progress or (lambda _: None)
    params = {**load_params(), "seed": seed}
    case = read_case(train, test, negatives)
    say(f"{len(case.data)} training rows, {len(case.held.user)} to rank")
    winner, validation = choose(case.data, params, progress)
    say(f"chosen on validation: {winner}; fitting on all training rows")
    workshop = Workshop(case.data, params)

    def ranked(name: str) -> dict[str, float]:
        scores = workshop.model(name).score(case.data)[case.held.user]
        hit, gain = hit_and_gain(sampled_ranks(scores, case.held, case.negatives))
        return {"hr_at_10": hit, "ndcg_at_10": gain}

    own = ranked(winner)
    return {
        "model": NAME,
        # The recipe is code and parameters, so its version is their hash.
        "version": f"recipe-{recipe_digest()[:12]}",
        "rows": len(case.held.user),
        **own,
        "M7": {
            **own,
            "candidate": winner,
            "baselines": {name: ranked(name) for name in params["baselines"]},
            "validation": {name: figures[GATE_METRIC] for name, figures in validation.items()},
            "users_without_history": case.new_users,
            "items_without_history": case.new_items,
        },
    }

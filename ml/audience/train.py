"""Train `audience_preference`, measure it against the plain methods and register it."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.audience.dataset import QUERY, AudienceDataset, build_dataset
from ml.audience.evaluate import GATE_METRIC, choose, measure
from ml.audience.interactions import Held, Interactions, hold_out
from ml.audience.model import NAME, Workshop, load_params, recipe_digest
from ml.gates import run_gate
from ml.registry import cards, training
from ml.registry.releases import Candidate, Release
from ml.settings import Settings, get_settings

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_EPOCH = date(1970, 1, 1).toordinal()
_EXAMPLE = 30  # segments: the gates of a release are asked about them
_PACKAGES = ("numpy", "pandas", "scipy", "torch")
_LIMITS = (
    "A segment is a country, a niche and a language of what lists showed; nobody knows who"
    " watched.",
    "An interaction is the first day on which a list of the segment showed the topic, so it says"
    " what was put before viewers as much as what they chose.",
    "Leave-one-out: the latest topic of each segment is ranked among {sampled_negatives} topics"
    " that the segment never took to; other segments' rows of the same days are known.",
    "Scores order topics within a segment; they are no probabilities and cannot be compared"
    " between segments.",
    "A topic's vector, where the model uses it, is the mean of all its titles so far.",
)


def train_audience(
    as_of: datetime, settings: Settings | None = None, params: dict[str, Any] | None = None
) -> Release:
    """Choose, fit, measure and register `audience_preference` on what was known at `as_of`.

    The same data, parameters and code give the version that exists already.

    Args:
        as_of: "now"; no later row is used.
        settings: those of the process by default.
        params: those kept in the repository by default.

    Raises:
        TooFewRowsError: if there are too few interactions or segments.
        GateError: if the rows are not fit for use.
    """
    settings = settings or get_settings()
    params = params or load_params()
    dataset = build_dataset(as_of, params, settings)
    key = training.fingerprint(dataset.digest, params, recipe_digest())
    return training.train_once(
        NAME,
        key,
        lambda job: _train(dataset, params, key, job, settings),
        method="recommender",
        data_digest=dataset.digest,
        params=params,
        settings=settings,
    )


@contextmanager
def _train(
    dataset: AudienceDataset,
    params: dict[str, Any],
    key: str,
    job: training.Job,
    settings: Settings,
) -> Iterator[Candidate]:
    """Check, choose, fit and measure; the candidate's folder exists inside the context.

    What ships has not learned from the held-out rows: they are folded in when it recommends, and
    a later training can measure it on the rows that came since.
    """
    run_gate(
        "training_audience_preference",
        run_id=job.id,
        as_of=dataset.bounds["as_of"],
        frame=as_judged(dataset.data),
        settings=settings,
    )
    rows, held = hold_out(dataset.data, params["seed"])
    winner, validation = choose(rows, params, checkpoints=job.checkpoints)
    workshop = Workshop(rows, params, job.checkpoints, "final")
    model = workshop.model(winner)
    metrics = {"model": measure(model, rows, held, params)}
    # A baseline that won is the model: it cannot be asked to beat itself.
    for name in params["baselines"]:
        if name != winner:
            metrics[name] = measure(workshop.model(name), rows, held, params)
    incumbent, figures = training.measure_champion(
        NAME, lambda champion, _: measure(champion.get_raw_model(), rows, held, params), settings
    )
    metrics |= figures
    facts = _facts(dataset, rows, held, winner)
    example = _as_frame(rows.only(rows.users[:_EXAMPLE]))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / NAME)
        yield Candidate(
            name=NAME,
            model_type=winner,
            fingerprint=key,
            folder=Path(folder) / NAME,
            loader_module="ml.audience.loader",
            gate_metric=GATE_METRIC,
            metrics=metrics,
            params=params,
            tags={**facts, "model_type": winner, "params": json.dumps(params)},
            card=_card(dataset, facts, metrics, params),
            dataset=_as_frame(rows),
            dataset_source="marts.fct_segment_topic_engagement",
            target="topic_id",
            example=example,
            prediction=model.predict(example),
            pip_requirements=training.installed(_PACKAGES),
            incumbent=incumbent,
            artifacts={"dataset.sql": QUERY, "validation.json": json.dumps(validation, indent=1)},
            runs={f"validation: {name}": figures for name, figures in validation.items()},
        )


def _facts(dataset: AudienceDataset, rows: Interactions, held: Held, winner: str) -> dict[str, str]:
    times = dataset.data.time
    days = [] if times is None else [date.fromordinal(int(t)) for t in (times.min(), times.max())]
    return {
        "candidate": winner,
        "as_of": dataset.bounds["as_of"].isoformat(),
        "first_day": days[0].isoformat() if days else "",
        "last_day": days[1].isoformat() if days else "",
        "segments": str(len(rows.users)),
        "topics": str(len(rows.items)),
        "train_rows": str(len(rows)),
        "test_rows": str(len(held.user)),
        "is_synthetic": str(dataset.is_synthetic).lower(),
        "data_digest": dataset.digest,
        "code_digest": recipe_digest(),
    }


def _card(
    dataset: AudienceDataset,
    facts: dict[str, str],
    metrics: dict[str, dict[str, float]],
    params: dict[str, Any],
) -> str:
    population = "the simulated world" if dataset.is_synthetic else "public lists of countries"
    return cards.model_card(
        NAME,
        "Orders the topics that a viewer segment has not seen yet by how likely its lists take them"
        f" up next; the method is `{facts['candidate']}`, chosen on the interactions before the"
        f" measured ones. Population: {population}.",
        facts,
        metrics,
        [limit.format(**params) for limit in _LIMITS],
    )


def as_judged(data: Interactions) -> pd.DataFrame:
    """The rows as the gate judges them: segment, topic and the first day in UTC."""
    import pandas as pd

    frame = _as_frame(data)
    since_1970 = frame.pop("time") - _EPOCH
    return frame.assign(first_day=pd.to_datetime(since_1970, unit="D", utc=True))


def _as_frame(data: Interactions) -> pd.DataFrame:
    """The rows as the model's input has them."""
    import numpy as np
    import pandas as pd

    return pd.DataFrame(
        {
            "segment_id": np.array(data.users, dtype=object)[data.user],
            "topic_id": np.array(data.items, dtype=object)[data.item],
            "time": data.time if data.time is not None else np.zeros(len(data)),
        }
    )

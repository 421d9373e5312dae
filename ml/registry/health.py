"""How a version does on real traffic: the records of the API, its errors and later outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from ml.settings import Settings
from ml.storage.postgres import query, transaction

_TRAFFIC = timedelta(days=1)
_MOST_SCORES = 5000
# Batch scores have an `as_of`; what the API answered has none.
_OF_API = "p.as_of is null and p.metadata ->> 'shadow' is distinct from 'true'"
_HAS_TRAFFIC = f"""
    select count(*) >= %(least)s
    from (
        select from ml.model_predictions as p
        join ml.ml_models as m on m.id = p.model_id
        where m.model_name = %(model)s and p.created_at > now() - %(window)s and {_OF_API}
        limit %(least)s
    ) as recent
"""  # noqa: S608 - constants
_FIGURES = """
    with own as (
        select p.latency_ms, p.confidence, p.prediction ->> 'rising' as said,
            p.actual_outcome ->> 'rising' as came
        from ml.model_predictions as p
        join ml.ml_models as m on m.id = p.model_id
        where m.model_name = %(model)s and m.mlflow_version = %(version)s
            and p.created_at >= %(since)s and p.as_of is null
            and (%(type)s::text is null or p.prediction_type = %(type)s)
    )
    select
        count(*) as answers,
        (select count(*) from ml.serving_errors as e
            join ml.ml_models as m on m.id = e.model_id
            where m.model_name = %(model)s and m.mlflow_version = %(version)s
                and e.created_at >= %(since)s) as errors,
        percentile_cont(0.95) within group (order by latency_ms) as latency_p95_ms,
        count(*) filter (where came is not null) as outcomes,
        avg((came = said)::integer) filter (where came is not null)::float8 as accuracy,
        (array_agg(confidence::float8) filter (where confidence is not null))[1:%(most)s] as scores
    from own
"""


@dataclass(frozen=True)
class Figures:
    """What a version did since a moment.

    Attributes:
        answers: how many it gave.
        errors: how many it could not give.
        latency_p95_ms: of its answers.
        outcomes: answers whose outcome is known.
        accuracy: share of those that were right.
        scores: confidences, at most 5000.
    """

    answers: int
    errors: int
    latency_p95_ms: float | None
    outcomes: int
    accuracy: float | None
    scores: tuple[float, ...] = ()

    @property
    def asked(self) -> int:
        """Answers and errors."""
        return self.answers + self.errors

    @property
    def error_rate(self) -> float:
        """Share of what was asked that had no answer."""
        return self.errors / self.asked if self.asked else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For a report, without the scores."""
        return {k: v for k, v in asdict(self).items() if k != "scores"} | {
            "error_rate": round(self.error_rate, 4)
        }


def has_traffic(name: str, settings: Settings) -> bool:
    """Whether the API answered with this model often enough in the last day to judge a canary."""
    with transaction(settings.require("database_url")) as conn:
        row = conn.execute(
            _HAS_TRAFFIC.encode(),
            {"model": name, "window": _TRAFFIC, "least": settings.rollout_min_answers},
        ).fetchone()
    return bool(row and row[0])


def figures(
    name: str, number: int, since: datetime, settings: Settings, kind: str | None = None
) -> Figures:
    """What a version did on real traffic since a moment; only answers of one kind, if given."""
    values = {
        "model": name, "version": number, "since": since, "most": _MOST_SCORES, "type": kind,
    }  # fmt: skip
    with transaction(settings.require("database_url")) as conn:
        (found,) = query(conn, _FIGURES, values)
    return Figures(**found | {"scores": tuple(found["scores"] or ())})


def problems(
    canary: Figures, champion: Figures, settings: Settings, justified_shift: float = 0.0
) -> list[str]:
    """Why a version has to go, with the figures; none if it may stay.

    Errors and latency count from the first `rollout_min_answers` on, or as soon as so many have
    failed that the rest could not make up for it. The guard compares the scores of both versions
    in the same window (two-sample Kolmogorov-Smirnov): a version whose input is scaled wrongly
    shows there long before outcomes do.

    Args:
        canary: what the version did.
        champion: what the champion did in the same time.
        settings: the limits.
        justified_shift: how far the scores of the two may lie apart before that is a shift at all,
            because outcomes speak for it (`ml.registry.validation.comparison.justified_shift`).
    """
    found = []
    least, limit = settings.rollout_min_answers, settings.rollout_error_rate
    if canary.errors > limit * max(canary.asked, least):
        found.append(f"error rate {canary.error_rate:.1%} of {canary.asked}, limit {limit:.0%}")
    slow = canary.latency_p95_ms
    if canary.answers >= least and slow is not None and slow > settings.rollout_latency_p95_ms:
        found.append(f"p95 {slow:.0f} ms, limit {settings.rollout_latency_p95_ms:.0f} ms")
    if min(canary.outcomes, champion.outcomes) >= least:
        drop = (champion.accuracy or 0) - (canary.accuracy or 0)
        if drop > settings.rollout_accuracy_drop:
            found.append(
                f"accuracy {canary.accuracy:.3f}, champion {champion.accuracy:.3f}: drop"
                f" {drop:.3f}, limit {settings.rollout_accuracy_drop:.3f}"
            )
    if min(len(canary.scores), len(champion.scores)) >= least:
        from scipy.stats import ks_2samp  # type: ignore[import-untyped]

        test = ks_2samp(canary.scores, champion.scores)
        limit = settings.rollout_score_shift + justified_shift
        if test.statistic > limit and test.pvalue < 0.01:
            found.append(
                f"scores differ from the champion's by {test.statistic:.2f} (KS, p"
                f" {test.pvalue:.2g}), limit {limit:.2g}"
            )
    return found

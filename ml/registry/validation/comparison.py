"""Is one model better than another on the same rows, and how sure is that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """AUC of two models on the same rows, or the mean merit of their answers.

    Attributes:
        own, rival: the figure of each.
        low, high: confidence interval of own - rival.
        p_value: of no difference, two-sided.
        accuracy_p_value: of no difference in accuracy (McNemar's exact test); None without calls.
        rows: how many there are.
    """

    own: float
    rival: float
    low: float
    high: float
    p_value: float
    accuracy_p_value: float | None
    rows: int

    @property
    def gain(self) -> float:
        """How much better the own one is."""
        return self.own - self.rival

    @property
    def tested(self) -> str:
        """For people: the interval of the gain and its p value."""
        return f"[{self.low:+.4f}, {self.high:+.4f}], p {self.p_value:.3g}"

    def as_dict(self) -> dict[str, Any]:
        """For a report."""
        return {**asdict(self), "gain": self.gain}


def compare(
    labels: npt.NDArray[np.int64],
    own: Array,
    rival: Array,
    confidence: float,
    calls: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None = None,
) -> Difference:
    """Compare two scores of the same rows (DeLong et al. 1988, by midranks as Sun and Xu 2014).

    Args:
        labels: 0 or 1, both present.
        own: scores of the one model.
        rival: scores of the other.
        confidence: of the interval, 0 to 1.
        calls: the positive calls of both, for the test of accuracy.
    """
    from scipy.stats import norm  # type: ignore[import-untyped]

    above, below = zip(*(_placements(labels, score) for score in (own, rival)), strict=True)
    first, second = (float(part.mean()) for part in above)
    spread = np.sqrt(_variance(above) + _variance(below))
    width = float(norm.ppf((1 + confidence) / 2) * spread)
    gain = first - second
    certain = 1.0 if gain == 0 else 0.0
    p_value = float(2 * norm.sf(abs(gain) / spread)) if spread > 0 else certain
    return Difference(
        first, second, gain - width, gain + width, p_value,
        _mcnemar(labels, *calls) if calls else None, len(labels),
    )  # fmt: skip


def compare_merits(own: Array, rival: Array, confidence: float) -> Difference:
    """Compare the merits that two models have unit by unit (paired t test).

    Args:
        own: how good each answer of the one model is, larger is better.
        rival: the same of the other, for the same units.
        confidence: of the interval, 0 to 1.
    """
    from scipy.stats import t

    gains, free = own - rival, len(own) - 1
    gain, error = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
    width = float(t.ppf((1 + confidence) / 2, free)) * error
    certain = 1.0 if gain == 0 else 0.0
    p_value = float(2 * t.sf(abs(gain) / error, free)) if error > 0 else certain
    return Difference(
        float(own.mean()), float(rival.mean()), gain - width, gain + width, p_value, None, len(own)
    )


def justified_shift(
    labels: npt.NDArray[np.int64], own: Array, rival: Array, confidence: float
) -> float:
    """How far the probabilities of two models lie apart, where outcomes speak for the own ones.

    A model that was trained after a drift says other things than the one before it, and is right
    to; one whose scale is wrong does so too, and is not.

    Args:
        labels: what came, 0 or 1.
        own: probabilities of the one model.
        rival: probabilities of the other.
        confidence: that the own ones are closer to what came, 0 to 1.

    Returns:
        Their Kolmogorov-Smirnov distance if the own Brier score is surely the better one, else 0.
    """
    from scipy.stats import ks_2samp, norm

    gain = (rival - labels) ** 2 - (own - labels) ** 2
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    if float(gain.mean()) <= float(norm.ppf(confidence)) * error:
        return 0.0
    return float(ks_2samp(own, rival).statistic)


def _placements(labels: npt.NDArray[np.int64], score: Array) -> tuple[Array, Array]:
    """Share of the negatives below each positive, and of the positives above each negative."""
    from scipy.stats import rankdata

    positive, negative = score[labels == 1], score[labels == 0]
    together = rankdata(np.concatenate([positive, negative]))
    count = len(positive)
    above = (together[:count] - rankdata(positive)) / len(negative)
    below = 1 - (together[count:] - rankdata(negative)) / count
    return above, below


def _variance(parts: tuple[Array, ...]) -> float:
    """Variance of the mean of the difference."""
    difference = parts[0] - parts[1]
    return float(difference.var(ddof=1) / len(difference)) if len(difference) > 1 else 0.0


def _mcnemar(
    labels: npt.NDArray[np.int64], own: npt.NDArray[np.bool_], rival: npt.NDArray[np.bool_]
) -> float:
    from statsmodels.stats.contingency_tables import mcnemar

    right, other = own == labels, rival == labels
    only_own, only_rival = int((right & ~other).sum()), int((other & ~right).sum())
    table = [[int((right & other).sum()), only_own], [only_rival, int((~right & ~other).sum())]]
    return float(mcnemar(table, exact=True).pvalue)

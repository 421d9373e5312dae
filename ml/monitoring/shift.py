"""Tests of one window against a reference, on counts alone.

Per column: its location and spread on the scale of the reference's ranks (the first two components
of a smooth test, Neyman 1937), the whole histogram (Pearson's X2 with the correction of Rao and
Scott 1984), and the share of missing values. Each allows for how much the blocks of the reference
differ among themselves: rows of one video, channel or week are no independent draws, and a week
that differs no more than weeks do is quiet. The four are combined (Liu and Xie 2020; approximate,
better the smaller p is), the columns held at one false discovery rate (Benjamini and Hochberg 1995;
of columns that are independent or positively dependent), which for a quiet window is the
probability of any alarm. What is significant and tiny is no drift: effects count from 0.1, which
Cohen (1988) calls small for w (`shape`) and which is half of small for d and h (the others).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats  # type: ignore[import-untyped]

from ml.monitoring.profile import CURRENT, ColumnProfile

Array = npt.NDArray[np.float64]

ALPHA = 0.05
MIN_EFFECT = 0.1
MIN_ROWS = 10
# A bin of fewer expected rows says more of chance than of a shift.
_LEAST_EXPECTED = 5.0
_LEAST_P = 1e-300
# A test of counts may say exactly 1, whose height in the combination would drown all others.
_MOST_P = 0.99
# The variance between a dozen blocks is itself known badly, and may be of heavy tails: it is taken
# from the upper end of the middle half of what it may be.
_CAUTION = 0.25


@dataclass(frozen=True)
class ColumnShift:
    """What is said of one column.

    Attributes:
        p_value: of all its tests together.
        q_value: the false discovery rate at which it would be called; 1 until `call` has decided.
        effect: largest of the effects, on Cohen's scale.
        strongest: the test with the least p value: `location`, `spread`, `shape` or `missing`.
        tests: p value and effect of each.
        psi: population stability index over the bins, natural logarithm.
        current_rows: rows of the window, missing values included.
        reference_rows: those of the reference.
        current_missing: share without a value.
        reference_missing: likewise.
        current_mean: of a number; None for categories.
        reference_mean: likewise.
        is_shifted: whether it is called.
    """

    name: str
    p_value: float
    q_value: float
    effect: float
    strongest: str
    tests: dict[str, tuple[float, float]]
    psi: float
    current_rows: int
    reference_rows: int
    current_missing: float
    reference_missing: float
    current_mean: float | None
    reference_mean: float | None
    is_shifted: bool = False


def compare(profile: ColumnProfile) -> ColumnShift | None:
    """Test the current block of a column against its other blocks.

    Returns:
        None where one of the two has too few rows, or nothing that could differ.
    """
    is_current = profile.blocks == CURRENT
    rows, missing = profile.rows, profile.missing
    if rows[is_current].sum() < MIN_ROWS or rows[~is_current].sum() < MIN_ROWS:
        return None
    current, reference = profile.counts[is_current].sum(axis=0), profile.counts[~is_current]
    tests: dict[str, tuple[float, float] | None] = {"missing": _missing(rows, missing, is_current)}
    if current.sum() >= MIN_ROWS / 2 and reference.sum() >= MIN_ROWS:
        if profile.is_numeric:
            tests |= _smooth(current, reference)
        tests["shape"] = _shape(current, reference)
    found = {name: test for name, test in tests.items() if test is not None}
    if not found:
        return None
    means = profile.mean if profile.is_numeric else None
    return ColumnShift(
        name=profile.name,
        p_value=_combined([p for p, _ in found.values()]),
        q_value=1.0,
        effect=max(effect for _, effect in found.values()),
        strongest=min(found, key=lambda name: (found[name][0], -found[name][1])),
        tests=found,
        psi=stability_index(current, reference.sum(axis=0)),
        current_rows=int(rows[is_current].sum()),
        reference_rows=int(rows[~is_current].sum()),
        current_missing=float(missing[is_current].sum() / rows[is_current].sum()),
        reference_missing=float(missing[~is_current].sum() / rows[~is_current].sum()),
        current_mean=_mean(means, profile.counts, is_current),
        reference_mean=_mean(means, profile.counts, ~is_current),
    )


def call(shifts: Sequence[ColumnShift], alpha: float = ALPHA) -> list[ColumnShift]:
    """Decide on all columns together.

    Args:
        shifts: of one window.
        alpha: accepted share of false ones among the called columns; in a window without any
            shift, the probability of calling at all.
    """
    if not shifts:
        return []
    q_values = stats.false_discovery_control([shift.p_value for shift in shifts])
    return [
        replace(shift, q_value=float(q), is_shifted=bool(q <= alpha and _matters(shift)))
        for shift, q in zip(shifts, q_values, strict=True)
    ]


def stability_index(current: Array, reference: Array) -> float:
    """Sum of (q - p) ln(q / p) over bins; half a row is added to each, so that none is empty."""
    if current.sum() == 0 or reference.sum() == 0:
        return 0.0
    q = (current + 0.5) / (current + 0.5).sum()
    p = (reference + 0.5) / (reference + 0.5).sum()
    return float(np.sum((q - p) * np.log(q / p)))


def _matters(shift: ColumnShift) -> bool:
    """Whether a test that could carry the call by itself has an effect worth the name."""
    return any(p <= ALPHA and effect >= MIN_EFFECT for p, effect in shift.tests.values())


def _mean(means: Array | None, counts: Array, chosen: npt.NDArray[np.bool_]) -> float | None:
    if means is None:
        return None
    weights = counts[chosen].sum(axis=1)
    there = weights > 0
    if not there.any():
        return None
    return float(np.average(means[chosen][there], weights=weights[there]))


def _combined(p_values: Sequence[float]) -> float:
    """Cauchy combination: for small p values about right, however the tests depend."""
    p = np.clip(np.asarray(p_values), _LEAST_P, _MOST_P)
    # 1 / (pi p) is the tangent to double precision, and does not round to infinity.
    heights = np.where(p < 1e-10, 1 / (np.pi * p), np.tan((0.5 - p) * np.pi))
    height = float(np.mean(heights))
    return float(1 / (np.pi * height)) if height > 1e9 else float(stats.cauchy.sf(height))


def _smooth(current: Array, reference: Array) -> dict[str, tuple[float, float] | None]:
    """Location and spread of the ranks."""
    share = reference.sum(axis=0) / reference.sum()
    rank = np.cumsum(share) - share / 2
    location = _standardised(rank, share)
    if location is None:
        return {}
    found: dict[str, tuple[float, float] | None] = {
        "location": _score_test(location, current, reference)
    }
    outward = (rank - 0.5) ** 2
    outward = outward - np.sum(share * outward * location) * location
    spread = _standardised(outward, share)
    if spread is not None:
        found["spread"] = _score_test(spread, current, reference, moved=location)
    return found


def _standardised(score: Array, share: Array) -> Array | None:
    """Mean 0 and variance 1 in the reference; None for a score that does not vary."""
    centred = score - np.sum(share * score)
    variance = float(np.sum(share * centred**2))
    return centred / np.sqrt(variance) if variance > 1e-9 else None


def _score_test(
    score: Array, current: Array, reference: Array, moved: Array | None = None
) -> tuple[float, float]:
    """P value and size of the mean score of the current rows; the score's variance is 1.

    Args:
        score: of each bin.
        current: rows by bin.
        reference: blocks x bins.
        moved: a score whose own moves are no news: what they do to `score`, to the second order of
            an exponential tilt, is taken off window and blocks.
    """
    sizes = reference.sum(axis=1)
    there = sizes > 0
    sizes, kept = sizes[there], reference[there]
    means = kept @ score / sizes
    rows = current.sum()
    difference = float(current @ score / rows)
    share = reference.sum(axis=0) / reference.sum()
    if moved is not None:
        bend = float(np.sum(share * moved**2 * score)) / 2
        # A mean of n rows has a square of 1/n by chance.
        means = means - bend * ((kept @ moved / sizes) ** 2 - 1 / sizes)
        difference -= bend * (float(current @ moved / rows) ** 2 - 1 / rows)
    skew = float(np.sum(share * score**3)) / np.sqrt(rows)
    return _p_of(difference, rows, sizes, means, 1.0, skew), abs(float(difference))


def _p_of(
    difference: float, rows: float, sizes: Array, means: Array, variance: float, skew: float
) -> float:
    """Two-sided p value of a difference of means, with blocks as random effects.

    Args:
        difference: mean of the current rows less that of the reference.
        rows: current ones.
        sizes: rows of the blocks of the reference.
        means: theirs.
        variance: of a row within a block.
        skew: of the mean of the current rows; of few rows a normal tail is too thin on one side.
    """
    total = sizes.sum()
    between = between_blocks(sizes, means, variance)
    of_blocks = between * (1 + np.sum((sizes / total) ** 2))
    error = variance / rows + variance / total + of_blocks
    z = difference / np.sqrt(error)
    freedom = max(len(sizes) - 1, 1) * (error / of_blocks) ** 2 if of_blocks > 0 else np.inf
    p = 2 * stats.t.sf(abs(z), freedom) if np.isfinite(freedom) else 2 * stats.norm.sf(abs(z))
    # The current rows' part of the error carries their skew.
    tail = skew * (variance / rows / error) ** 1.5
    if abs(tail) > 1e-6:
        skewed = stats.pearson3.sf(z, tail) if z > 0 else stats.pearson3.cdf(z, tail)
        p = max(p, 2 * skewed)
    return float(min(max(p, _LEAST_P), 1.0))


def between_blocks(sizes: Array, means: Array, variance: float) -> float:
    """Variance of the blocks' own means beyond chance (DerSimonian and Laird 1986), cautiously."""
    if len(sizes) < 2:
        return 0.0
    total = sizes.sum()
    overall = np.sum(sizes * means) / total
    apart = np.sum(sizes * (means - overall) ** 2) / variance
    excess = _inflation(len(sizes)) * apart - (len(sizes) - 1)
    scale = (total - np.sum(sizes**2) / total) / variance
    return float(max(excess / scale, 0.0)) if scale > 0 else 0.0


def _inflation(blocks: int) -> float:
    """What a sum of squares between blocks is multiplied by, to err on the side of caution."""
    return float((blocks - 1) / stats.chi2.ppf(_CAUTION, blocks - 1))


def _missing(
    rows: Array, missing: Array, is_current: npt.NDArray[np.bool_]
) -> tuple[float, float] | None:
    """Two proportions: exact for independent rows, and with the blocks' own differences."""
    here, size = missing[is_current].sum(), rows[is_current].sum()
    there, total = missing[~is_current].sum(), rows[~is_current].sum()
    if here + there in (0, size + total):
        return None
    pooled = (here + there) / (size + total)
    sizes = rows[~is_current]
    shares = missing[~is_current][sizes > 0] / sizes[sizes > 0]
    variance = pooled * (1 - pooled)
    blocked = _p_of(here / size - there / total, size, sizes[sizes > 0], shares, variance, 0.0)
    table = [[int(here), int(size - here)], [int(there), int(total - there)]]
    side = "greater" if here / size > there / total else "less"
    tail = float(stats.fisher_exact(table, alternative=side).pvalue)
    p = max(min(2 * tail, 1.0), blocked, _LEAST_P)
    effect = 2 * abs(np.arcsin(np.sqrt(here / size)) - np.arcsin(np.sqrt(there / total)))
    return p, float(effect)


def _shape(current: Array, reference: Array) -> tuple[float, float] | None:
    """Pearson's X2 of two histograms, its law matched to blocks and to small counts."""
    current, reference = _merged(current, reference)
    bins = len(current)
    if bins < 2:
        return None
    rows, per_bin = current.sum(), reference.sum(axis=0)
    total = per_bin.sum()
    share = (current + per_bin) / (rows + total)
    statistic = float(
        np.sum((current - rows * share) ** 2 / (rows * share))
        + np.sum((per_bin - total * share) ** 2 / (total * share))
    )
    weights = _design_effects(reference, share, rows)
    mean, squares = float(weights.sum()), float(np.sum(weights**2))
    # Variance of X2 of few rows (Haldane 1937) beyond that of the limit.
    small = (np.sum(1 / share) - bins**2 - 2 * bins + 2) / rows
    freedom = 2 * mean**2 / (2 * squares + max(float(small), 0.0))
    blocks = int((reference.sum(axis=1) > 0).sum())
    scaled = statistic / mean
    if weights.max() > 1 + 1e-9:
        p = stats.f.sf(scaled, freedom, freedom * (blocks - 1))
    else:
        p = stats.chi2.sf(scaled * freedom, freedom)
    effect = np.sqrt(np.sum((current / rows - per_bin / total) ** 2 / share))
    # Cohen's w, less what chance alone gives it.
    chance = mean * (1 / rows + 1 / total)
    return float(max(p, _LEAST_P)), float(np.sqrt(max(effect**2 - chance, 0.0)))


def _merged(current: Array, reference: Array) -> tuple[Array, Array]:
    """Put bins with too few expected rows into one, or into the smallest of the others."""
    both = current + reference.sum(axis=0)
    expected = both * reference.sum() / both.sum()
    few = expected < _LEAST_EXPECTED
    if few.any():
        kept = np.flatnonzero(~few)
        rest = np.flatnonzero(few)
        if len(kept) and expected[rest].sum() < _LEAST_EXPECTED:
            smallest = kept[np.argmin(expected[kept])]
            rest, kept = np.append(rest, smallest), kept[kept != smallest]
        current = np.append(current[kept], current[rest].sum())
        reference = np.column_stack([reference[:, kept], reference[:, rest].sum(axis=1)])
    filled = (current + reference.sum(axis=0)) > 0
    return current[filled], reference[:, filled]


def _design_effects(reference: Array, share: Array, rows: float) -> Array:
    """Generalised design effects of the bins: all 1 where blocks differ by chance only.

    Eigenvalues of the covariance of the current shares, blocks as random effects, against that of
    independent rows.
    """
    sizes = reference.sum(axis=1)
    kept = reference[sizes > 0]
    sizes = sizes[sizes > 0]
    total, root = sizes.sum(), np.sqrt(share)
    plain = np.eye(len(share)) - np.outer(root, root)
    if len(sizes) < 2:
        return np.ones(len(share) - 1)
    deviation = (kept / sizes[:, None] - kept.sum(axis=0) / total) / root
    apart = (deviation * sizes[:, None]).T @ deviation
    excess = _inflation(len(sizes)) * apart - (len(sizes) - 1) * plain
    between = excess / (total - np.sum(sizes**2) / total)
    factor = (1 + np.sum((sizes / total) ** 2)) / (1 / rows + 1 / total)
    values = np.linalg.eigvalsh(plain + factor * between)[1:]
    return np.maximum(values, 1.0)

"""How well a clustering agrees with labels, and two days of topics with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


def agreement(labels: Sequence[str], clusters: Sequence[str]) -> dict[str, float]:
    """Purity, B-cubed and mutual information of a clustering, rounded.

    `recall_of_shared` is B-cubed recall over the items whose label others have as well: alone,
    every title finds all of a topic of one.
    """
    from sklearn.metrics import normalized_mutual_info_score

    same_label, same_cluster = _together(labels), _together(clusters)
    both = (same_label & same_cluster).sum(axis=1)
    precision, recall = both / same_cluster.sum(axis=1), both / same_label.sum(axis=1)
    shared = same_label.sum(axis=1) > 1
    numbers = np.unique(clusters, return_inverse=True)[1]
    names = np.unique(labels, return_inverse=True)[1]
    purity = sum(np.bincount(names[numbers == n]).max() for n in set(numbers.tolist()))
    figures = {
        "purity": purity / len(labels),
        "bcubed_precision": precision.mean(),
        "bcubed_recall": recall.mean(),
        "bcubed_f1": 2 * precision.mean() * recall.mean() / (precision.mean() + recall.mean()),
        "recall_of_shared": recall[shared].mean(),
        "nmi": normalized_mutual_info_score(labels, clusters),
        "share_alone": (same_cluster.sum(axis=1) == 1).mean(),
    }
    return {name: round(float(value), 4) for name, value in figures.items()} | {
        "titles": len(labels),
        "labels": len(set(labels)),
        "clusters": len(set(clusters)),
    }


def stability(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, float]:
    """How much of one day's topics is there on the next, over the items of both."""
    items = sorted(before.keys() & after.keys())
    first, second = [before[key] for key in items], [after[key] for key in items]
    pairs = np.triu_indices(len(items), 1)
    earlier, later = _together(first)[pairs], _together(second)[pairs]
    kept = (earlier & later).sum()
    return {
        "items": len(items),
        "ids_unchanged": float(np.mean([a == b for a, b in zip(first, second, strict=True)])),
        "pairs_together": int(earlier.sum()),
        "pairs_that_stay_together": float(kept / max(earlier.sum(), 1)),
        "pairs_that_were_together": float(kept / max(later.sum(), 1)),
    }


def _together(groups: Sequence[str]) -> npt.NDArray[np.bool_]:
    numbers = np.unique(groups, return_inverse=True)[1]
    return np.asarray(numbers[:, None] == numbers[None, :], dtype=np.bool_)

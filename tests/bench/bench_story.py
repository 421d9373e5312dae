"""What `trend_story` reaches over several seeds, beside the plain methods, and without each group.

Reads the point-in-time set of the feature store of a running platform, as training does, so import
front pages and build the features first. A group is left out by making its columns missing.

    ytempire up --only postgres,valkey
    ytempire import-archive --format hackernews-snapshots ~/archives/hackernews
    python tests/bench/bench_story.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from provenance import provenance

from ml import features
from ml.clock import as_of
from ml.settings import get_settings
from ml.storage.postgres import connect
from ml.trend.story.dataset import Split, build_dataset, has_stayed, load_params, split_in_time
from ml.trend.story.evaluate import measure
from ml.trend.story.model import fit
from ml.trend.story.train import feature_columns

_OUT = Path(__file__).parent / "results" / "story.json"
_SHOWN = (
    "auc", "brier", "ece", "accuracy", "served_auc", "served_brier", "served_ece",
    "served_accuracy",
)  # fmt: skip


def main() -> None:
    """Measure, and write one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=_OUT)
    arguments = parser.parse_args()
    settings, params, started = get_settings(), load_params(), time.monotonic()
    with connect() as conn:
        dataset = build_dataset(as_of(conn, settings), params, settings)
    split = split_in_time(dataset.frame, params)
    columns = feature_columns(dataset.frame)
    parts = {name: getattr(split, name) for name in ("train", "validation", "test")}
    runs = [
        measure(fit(split, columns, {**params, "seed": params["seed"] + n}, []), split.test)
        for n in range(arguments.seeds)
    ]
    report = {
        **provenance(),
        "rows": {name: len(part) for name, part in parts.items()},
        "stayed": {name: int(has_stayed(part).sum()) for name, part in parts.items()},
        "test": [f"{split.test['event_timestamp'].agg(end):%Y-%m-%d}" for end in ("min", "max")],
        "seeds": arguments.seeds,
        "model": {
            name: {"mean": round(mean(each), 4), "spread": round(stdev(each), 4)}
            for name in _SHOWN
            if (each := [run["model"][name] for run in runs])
        },
        "baselines": {
            name: _short(figures) for name, figures in runs[0].items() if name != "model"
        },
        "without": {
            group: _without(names, split, columns, params)
            for group, names in _groups(params["feature_service"], settings).items()
        },
        "seconds": round(time.monotonic() - started),
    }
    text = json.dumps(report, indent=1, default=float)
    arguments.out.write_text(text + "\n")
    print(text)


def _groups(service, settings) -> dict[str, list[str]]:
    """Names of the features of a service by their view and group."""
    store, groups = features.open_store(settings), defaultdict(list)
    for view in store.get_feature_service(service).feature_view_projections:
        for field in view.features:
            groups[f"{view.name}: {field.tags['group']}"].append(field.name)
    return dict(groups)


def _without(names, split, columns, params) -> dict[str, float]:
    """Figures when these features are missing everywhere."""

    def blind(part):
        return part.assign(**dict.fromkeys(names, np.nan))

    less = Split(blind(split.train), blind(split.validation), blind(split.test))
    figures = measure(_trees_only(fit(less, columns, params, [])), less.test)["model"]
    return {**_short(figures), "features": len(names)}


def _trees_only(model):
    """Without the plain methods, which are not asked."""
    return type(model)(model.forests, model.specification)


def _short(figures) -> dict[str, float]:
    return {name: round(figures[name], 4) for name in _SHOWN if name in figures}


if __name__ == "__main__":
    main()

"""What `trend_video` reaches over several seeds, and what leaving out a group of features costs.

Reads the point-in-time set of the feature store of a running platform, as training does, so build
the features first (`make run` on archives). A group is left out by making its columns missing. Also
says how many features of the service are filled in at least half of the rows and not constant.

    ytempire up --only postgres,valkey
    python tests/bench/bench_trend.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from provenance import provenance

from ml import features
from ml.clock import as_of
from ml.measures import binary_measures
from ml.settings import get_settings
from ml.storage.postgres import connect
from ml.trend.video import evaluate
from ml.trend.video.backtest import backtest
from ml.trend.video.candidate import held_out
from ml.trend.video.dataset import build_dataset, load_params, shown_in, split_in_time
from ml.trend.video.train import fit, with_baselines, with_heads

_OUT = Path(__file__).parent / "results" / "trend.json"
_SHOWN = ("accuracy", "auc", "ece")


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
    groups = feature_groups(params["feature_service"], settings)
    seeds = []
    for number in range(arguments.seeds):
        own = {**params, "seed": params["seed"] + number}
        model = with_heads(fit(split, own, []), dataset.everything, split, own)
        said = model.predict_proba(split.test)
        seeds.append(binary_measures(split.rising(split.test), said, said >= 0.5))
    model = with_baselines(model, dataset.everything, split, params)
    report = {
        **provenance(),
        "rows": {"train": len(split.train), "test": len(split.test)},
        "features": filled(dataset.everything, groups),
        "seeds": arguments.seeds,
        "rising": {
            name: {"mean": round(mean(each), 4), "spread": round(stdev(each), 4)}
            for name in _SHOWN
            if (each := [figures[name] for figures in seeds])
        },
        "by_method": evaluate.flat(evaluate.measure(model, held_out(dataset.everything, split))),
        "by_origin": backtest(dataset.frame, params),
        "by_group": evaluate.by_group(model, split.test, shown_in(settings)),
        "without": {group: without(names, split, params) for group, names in groups.items()},
        "seconds": round(time.monotonic() - started),
    }
    text = json.dumps(report, indent=1, default=float)
    arguments.out.write_text(text + "\n")
    print(text)


def feature_groups(service, settings) -> dict[str, list[str]]:
    """Names of the features of a service by their group."""
    store, groups = features.open_store(settings), defaultdict(list)
    for view in store.get_feature_service(service).feature_view_projections:
        for field in view.features:
            groups[field.tags["group"]].append(field.name)
    return dict(groups)


def filled(frame, groups) -> dict[str, object]:
    """How many features are filled in at least half of the rows and not constant."""
    used = {
        name: frame[name].notna().mean() >= 0.5 and frame[name].nunique() > 1
        for names in groups.values()
        for name in names
    }
    by_group = Counter(group for group, names in groups.items() for name in names if used[name])
    left_out = sorted(name for name, is_used in used.items() if not is_used)
    return {"all": len(used), "count": sum(used.values()), **by_group, "left_out": left_out}


def call(split, params) -> dict[str, float]:
    """Figures of the rising call alone on the test part."""
    model = fit(split, params, [])
    probability = model.predict_proba(split.test)
    return binary_measures(split.rising(split.test), probability, probability >= 0.5)


def without(names, split, params) -> dict[str, float]:
    """The same when these features are missing everywhere."""
    parts = {
        part: getattr(split, part).assign(**dict.fromkeys(names, np.nan))
        for part in ("train", "validation", "test")
    }
    figures = call(replace(split, **parts), params)
    return {name: round(figures[name], 4) for name in _SHOWN} | {"features": len(names)}


if __name__ == "__main__":
    main()

"""How well titles tell engagement relative to the channel, beside the plain methods.

Archives of 2025-2026: the panel and the country files, each video once, at its last observation
before two weeks of age. Five draws of held-out channels; the test part is later videos of those.
Candidates are compared on a validation part of the training side, and the winner is measured once.

    python tests/bench/bench_engagement.py --data-dir DATA
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from provenance import provenance

from ml.quality.engagement.dataset import COLUMNS, load_params, prepare
from ml.quality.engagement.evaluate import slices
from ml.quality.engagement.train import Outcome, fit_and_measure
from ml.settings import get_settings

if TYPE_CHECKING:
    import pandas as pd

SEEDS = (42, 43, 44, 45, 46)
RESULT = Path(__file__).parent / "results" / "engagement.json"
_RENAMED = {"fetched_at": "known_at", "duration": "duration_s", "default_language": "language"}


def main() -> None:
    """Run the bench and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="keep embeddings here; not for timing")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--transformer", type=int, default=0, help="draws to try it on as well")
    arguments = parser.parse_args()
    params = load_params()
    with tempfile.TemporaryDirectory() as folder:
        settings = get_settings().model_copy(update={"state_dir": arguments.cache or Path(folder)})
        load = os.getloadavg()[0]
        rows = prepare(read_archives(arguments.data_dir, params), params)
        runs = [run(rows, params, settings, seed) for seed in SEEDS]
        tried = [
            with_transformer(rows, params, settings, s) for s in SEEDS[: arguments.transformer]
        ]
    report = {
        **provenance(),
        "load_before": round(load, 2),
        "embeddings": "kept from an earlier run" if arguments.cache else "made in this run",
        "videos": len(rows),
        "channels": int(rows["channel"].nunique()),
        **summary(runs),
        "validation_with_transformer": _spreads(tried) if tried else "not run",
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def read_archives(data_dir: Path, params: dict[str, Any]) -> pd.DataFrame:
    """Videos of panel and countries as the marts would have them, with the country of a chart."""
    import pandas as pd

    folder = data_dir / "youtube-2025-2026"
    panel = pd.read_csv(folder / "panel" / "video_day.csv.xz").merge(
        pd.read_csv(folder / "panel" / "videos.csv.xz"), on="video_id"
    )
    charts = [pd.read_csv(path) for path in sorted((folder / "countries").glob("*.csv.xz"))]
    frame = pd.concat([panel, *charts]).rename(columns=_RENAMED)
    for name in ("known_at", "published_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    frame["channel"] = frame["channel_id"].fillna(frame["channel_title"])
    frame["language"] = frame["language"].str.lower().str.split("-").str[0]
    frame["age_hours"] = (frame["known_at"] - frame["published_at"]).dt.total_seconds() / 3600
    frame["retention"] = np.nan
    frame = frame.dropna(subset=["title", "channel", "published_at"]).sort_values(
        ["known_at", "video_id"], kind="stable"
    )
    videos = frame.groupby("video_id")
    frame["first_known_at"] = videos["known_at"].transform("min")
    frame["country"] = videos["country"].transform("first")
    frame["title"] = videos["title"].transform("first")
    usable = (
        frame["age_hours"].between(params["min_age_hours"], params["max_age_hours"])
        & (frame["views"] >= params["min_views"])
        & (frame["likes"] > 0)
    )
    return frame[usable].groupby("video_id").tail(1)[[*COLUMNS, "country"]].reset_index(drop=True)


def run(rows: pd.DataFrame, params: dict[str, Any], settings: Any, seed: int) -> dict[str, Any]:
    """One draw of channels."""
    begin, used = time.monotonic(), time.process_time()
    with ExitStack() as folders:
        outcome = fit_and_measure(rows, params, settings, seed, folders)
        return {
            "outcome": outcome,
            "slices": slices(outcome.parts.test, outcome.scores),
            "seconds": time.monotonic() - begin,
            "processor_seconds": time.process_time() - used,
        }


def with_transformer(
    rows: pd.DataFrame, params: dict[str, Any], settings: Any, seed: int
) -> dict[str, dict[str, float]]:
    """All candidates on one validation part, the fine-tuned encoder among them."""
    names = [*params["candidates"], "transformer"]
    one = {**params, "candidates": names, "validation_draws": 1}
    with ExitStack() as folders:
        return fit_and_measure(rows, one, settings, seed, folders).validation


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and spreads over the draws."""
    outcomes: list[Outcome] = [one["outcome"] for one in runs]
    return {
        "chosen_on_validation": [one.model.predictor.kind for one in outcomes],
        "train_videos": [len(one.parts.train) for one in outcomes],
        "test_videos": [len(one.parts.test) for one in outcomes],
        # The chosen one stands as `model`, and where it is a plain method under its own name too.
        "test": _spreads(
            [{**one.metrics, one.model.predictor.kind: one.metrics["model"]} for one in outcomes]
        ),
        "validation": _spreads([one.validation for one in outcomes]),
        "interval_coverage": _spread([one.coverage for one in outcomes]),
        "slices": {
            group: _spreads([one["slices"].get(group, {}) for one in runs])
            for group in runs[0]["slices"]
        },
        "training_seconds": [round(one["seconds"], 1) for one in runs],
        "training_processor_seconds": [round(one["processor_seconds"], 1) for one in runs],
    }


def _spreads(tables: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """By row and measure; of slices those that are large enough in every draw."""
    names = [name for name in tables[0] if all(name in table for table in tables)]
    return {
        name: {key: _spread([table[name][key] for table in tables]) for key in tables[0][name]}
        for name in names
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), 4), "sd": round(float(np.std(values)), 4)}


if __name__ == "__main__":
    main()

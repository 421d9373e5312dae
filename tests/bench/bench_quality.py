"""How well clickbait, spam and toxicity are told, against TF-IDF with logistic regression (M8).

Clickbait: channels held out, five draws. Spam: each video left out in turn, so draws change
nothing and its sd is 0. Toxicity: trained on tweets, five draws of them, tested on all
1,138 comments that `ml/quality/policy/labels` labels (53 toxic); the labels chose nothing. How
parameters were chosen: `ml/quality/policy/params/quality_policy.yaml`.

    python tests/bench/bench_quality.py --data-dir DATA
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from provenance import provenance

from ml.quality.policy.dataset import load_params, read_data
from ml.quality.policy.model import PolicyModel
from ml.quality.policy.train import Outcome, fit, fit_all
from ml.settings import Settings, get_settings

SEEDS = (42, 43, 44, 45, 46)
RESULT = Path(__file__).parent / "results" / "quality.json"
REFERENCE = {"clickbait": 0.976, "spam": 0.987, "toxicity": 0.695}
GOAL = {"clickbait": 0.985, "spam": 0.992, "toxicity": 0.80}


def main() -> None:
    """Run the bench and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="keep embeddings here; not for timing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = arguments.cache or Path(folder)
        settings = get_settings().model_copy(update={"state_dir": state})
        load = os.getloadavg()[0]
        report = {
            **provenance(),
            "load_before": round(load, 2),
            "embeddings": "kept from an earlier run" if arguments.cache else "made in this run",
            **measure(arguments.data_dir, settings),
        }
    text = json.dumps(report, indent=2)
    RESULT.write_text(text + "\n")
    print(text)


def measure(data_dir: Path, settings: Settings) -> dict:
    """Figures by task: mean and standard deviation over the draws, and what one training costs."""
    params = load_params()
    begin, used = time.monotonic(), time.process_time()
    data = read_data(data_dir, params)
    outcomes = fit_all(data, params, settings)
    cost = {
        "training_seconds": round(time.monotonic() - begin, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "model_megabytes": _megabytes(outcomes),
    }
    figures = {
        task: _figures(
            task,
            [outcome, *(fit(task, data, params, settings, s, refit=False) for s in SEEDS[1:])],
        )
        for task, outcome in outcomes.items()
    }
    return {"M8": figures, **cost}


def _megabytes(outcomes: dict) -> float:
    model = PolicyModel({task: outcome.classifier for task, outcome in outcomes.items()})
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return round(size / 1e6, 1)


def _figures(task: str, outcomes: list[Outcome]) -> dict:
    return {
        "auc": _spread([one.auc for one in outcomes]),
        "baselines": {"tfidf_logistic": {"auc": _spread([one.baseline_auc for one in outcomes])}},
        "auc_held_out_of_training_population": _spread([one.home_auc for one in outcomes]),
        "test_rows": outcomes[0].rows,
        "reference_on_other_data": REFERENCE[task],
        "goal_on_other_data": GOAL[task],
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), 4), "sd": round(float(np.std(values)), 4)}


if __name__ == "__main__":
    main()

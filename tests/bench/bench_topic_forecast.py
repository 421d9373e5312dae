"""How well the topic model forecasts volumes and rises, beside every candidate and plain method.

Daily volumes by country and category (YouTube), by host and title word (Hacker News) and by
language (GitHub), each source with a model of its own. Candidates are compared on six rolling
origins, what is chosen is measured once on eight later ones; with more seeds than one the chosen
method is fitted again with each, and its test figures are the mean with the standard deviation.

    python tests/bench/bench_topic_forecast.py --data-dir DATA [--seeds 5] [--source github]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

from ml.trend.topic.archives import read_volumes
from ml.trend.topic.candidates import load_params
from ml.trend.topic.evaluate import with_gains
from ml.trend.topic.fitting import fit_and_measure, measure_model, refit
from ml.trend.topic.folds import Folds, plan_folds
from ml.trend.topic.series import build_panel

_FOLDERS = {
    "youtube": ("youtube-2025-2026/countries", "youtube-2025-2026/panel"),
    "github": ("github-trending",),
    "hackernews": ("hackernews",),
}
# Series with less in all never have 7 items in 28 days; they would only fill the memory.
_LEAST = 30


def main() -> None:
    """Run the bench and write its JSON after each source."""
    arguments = _arguments()
    out: Path = arguments.out
    report = json.loads(out.read_text()) if out.exists() else {}
    for name in arguments.source or _FOLDERS:
        files = [p for f in _FOLDERS[name] for p in sorted((arguments.data_dir / f).iterdir())]
        before = os.getloadavg()[0]
        found = measure_source(files, arguments.seeds)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        report[name] = {
            **provenance(),
            **found,
            "load": [round(before, 1), round(os.getloadavg()[0], 1)],
            "peak_gib": round(peak / 2**20, 2),
        }
        out.write_text(json.dumps(report, indent=2) + "\n")
        print(json.dumps(report[name], indent=2))


def measure_source(files: list[Path], seeds: int) -> dict[str, Any]:
    """Choose on validation, then measure on the test origins."""
    params = load_params()
    volumes = read_volumes(files)
    total = volumes.groupby("series")["volume"].transform("sum")
    panel = build_panel(volumes[total >= _LEAST])
    begin, cpu = time.monotonic(), time.process_time()
    folds = plan_folds(panel, params)
    fitted = fit_and_measure(folds, progress=lambda line: print(line, flush=True))
    seconds = {"training_s": time.monotonic() - begin, "training_cpu_s": time.process_time() - cpu}
    table = {**fitted.table}
    if seeds > 1:
        own = [fitted.table["model"]]
        for seed in range(1, seeds):
            other = Folds(panel, folds.validation, folds.test, {**params, "seed": seed})
            model = refit(other, fitted.model)
            own.append(measure_model(model, other.test_windows()))
        table["model"] = {k: float(np.mean([f[k] for f in own])) for k in own[-1]}
        table["model_std"] = {k: float(np.std([f[k] for f in own])) for k in own[-1]}
        spread = table.pop("model_std")
        table = {**with_gains(table, params["baselines"]), "model_std": spread}
    return {
        "series": len(panel.names),
        "days": panel.steps,
        "validation_windows": len(fitted.study.windows),
        "chosen_on_validation": fitted.study.winner,
        "parts": {
            part.name: _rounded(dict(zip(("48h", "7d"), part.weights, strict=True)))
            for part in fitted.model.parts
        },
        "test": {name: _rounded(figures) for name, figures in table.items()},
        "validation": {name: _rounded(figures) for name, figures in fitted.study.table.items()},
        "verdicts": fitted.study.verdicts,
        "mase_7d_by_validation_fold": {
            name: _rounded(figures) for name, figures in fitted.study.by_fold.items()
        },
        "seeds": seeds,
        **_rounded(seconds),
    }


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in figures.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--source", choices=list(_FOLDERS), action="append")
    parser.add_argument("--seeds", type=int, default=5)
    out = Path(__file__).parent / "results" / "topic_forecast.json"
    parser.add_argument("--out", type=Path, default=out)
    return parser.parse_args()


if __name__ == "__main__":
    main()

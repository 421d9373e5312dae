"""How well the audience model ranks, on MovieLens, beside every candidate and plain method.

Leave-one-out: the last item that the file holds for each user is ranked among 99 sampled items
that the user never rated (mean and spread of 5 draws) and among the whole catalogue. Candidates
are compared on the second last item, learned from the items before it; the last one is measured
once, of the networks only where the chosen model has them. The file of MovieLens small has no
times, so a random item of each user is held out there and nothing about order can help; the
networks are left out of it.

    python tests/bench/bench_audience.py --data-dir DATA
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

from provenance import provenance

from ml.audience.evaluate import choose, measure
from ml.audience.files import read_rows
from ml.audience.interactions import hold_out, interactions
from ml.audience.model import Workshop, load_params

_FILES = {
    "movielens-100k": "movielens-100k/train.rating.gz",
    "movielens-small": "movielens-small/train.csv.gz",
}
_NETWORKS = {"gmf", "mlp", "neumf", "two_tower", "ials_sequential_two_tower"}


def main() -> None:
    """Run the bench and write its JSON after each file."""
    arguments = _arguments()
    report: dict[str, Any] = {
        **provenance(),
    }
    for name, path in _FILES.items():
        before = os.getloadavg()[0]
        found = measure_file(arguments.data_dir / path, networks=name == "movielens-100k")
        report[name] = {**found, "load": [round(before, 1), round(os.getloadavg()[0], 1)]}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        report["peak_gib"] = round(peak / 2**20, 2)
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def measure_file(path: Path, *, networks: bool) -> dict[str, Any]:
    """Choose on validation, then measure on what was held out."""
    params = load_params()
    begin, cpu = time.monotonic(), time.process_time()
    data = interactions(read_rows(path))
    rows, held = hold_out(data, params["seed"])
    workshop = Workshop(rows, params)
    names = [name for name in workshop.candidates() if networks or name not in _NETWORKS]
    winner, validation = choose(rows, params, print, names)
    workshop.model(winner)
    seconds = {"training_s": time.monotonic() - begin, "training_cpu_s": time.process_time() - cpu}
    there = {part.name for part in workshop.model(winner).parts} | {winner}
    tested = [name for name in names if name in there or name not in _NETWORKS]
    table = {name: measure(workshop.model(name), rows, held, params) for name in tested}
    return {
        "users": len(data.users),
        "items": len(data.items),
        "rows": len(data),
        "chosen_on_validation": winner,
        "test": {name: _rounded(figures) for name, figures in table.items()},
        "validation": {name: _rounded(figures) for name, figures in validation.items()},
        **_rounded(seconds),
    }


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in figures.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data-dir", type=Path, required=True)
    out = Path(__file__).parent / "results" / "audience.json"
    parser.add_argument("--out", type=Path, default=out)
    return parser.parse_args()


if __name__ == "__main__":
    main()

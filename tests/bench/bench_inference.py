"""How long one answer of each champion takes, how many rows a second a batch gets, and exports.

Reads the champions of the running platform, each on the input example of its release: one unit
asked again and again (p50 and p99 of a warm model), and the example as one batch, repeated to some
thousands of units where units are rows. Beside `trend_video` stands what the API asks, its forests
on plain arrays, and how far the two differ at most. The title encoder is measured in full
precision, as it is served (half precision where the processor computes in it) and with weights of
8 bits, with the smallest cosine to full precision.

    YTEMPIRE_DATA_DIR=DATA ytempire run
    python tests/bench/bench_inference.py
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

from ml.registry import releases
from ml.registry.probes import Probe, probe_of
from ml.serving.scoring import Scorer
from ml.settings import get_settings
from ml.topics import embeddings

_RESULTS = Path(__file__).parent / "results" / "inference.json"
MODELS = (
    "trend_video", "trend_story", "trend_topic", "quality_policy", "quality_engagement",
    "audience_preference",
)  # fmt: skip
_SINGLES, _WARM_UP, _ROUNDS = 200, 5, 5
_BATCH = 5_000
_TITLES = 512


def main() -> None:
    """Measure every champion and the encoder, and write the JSON."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    found: dict[str, Any] = {**provenance(), "load_before": os.getloadavg()[0], "models": {}}
    settings = get_settings()
    for name in MODELS:
        if (release := releases.champion(name, settings)) is None:
            found["models"][name] = "there is no champion"
            continue
        model = releases.load(release, settings)
        found["models"][name] = {"version": release.version, **measure(probe_of(name), model)}
        print(name, json.dumps(found["models"][name]), flush=True)
    found["encoder"] = encoder()
    print("encoder", json.dumps(found["encoder"]), flush=True)
    _RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def measure(probe: Probe, model: Any) -> dict[str, Any]:
    """One unit and a batch by MLflow's `predict`, and beside it what the API asks instead."""
    import pandas as pd

    example = model.input_example
    singles = [probe.single(example, place) for place in range(_SINGLES)]
    if probe.unit is None:
        batch = pd.concat([example] * -(-_BATCH // len(example)), ignore_index=True)[:_BATCH]
        units = len(batch)
    else:
        batch, units = example, example[probe.unit].nunique()
    found = {
        "one": one(model.predict, singles),
        "batch": {"units": units, "units_per_s": rate(lambda: model.predict(batch), units)},
    }
    if probe.name == "trend_video":
        scorer = Scorer(model.get_raw_model())
        rows = batch.astype(object).where(batch.notna(), None).to_dict("records")
        alone = [rows[place : place + 1] for place in range(_SINGLES)]
        said = np.array([score.probability for score in scorer(rows)])
        found["as_served"] = {
            "one": one(scorer, alone),
            "batch": {"units": units, "units_per_s": rate(lambda: scorer(rows), units)},
            "largest_difference": float(np.abs(said - model.predict(batch)["probability"]).max()),
        }
    return found


def one(ask: Callable[[Any], Any], inputs: Sequence[Any]) -> dict[str, float]:
    """Milliseconds of single answers of a warm model."""
    for each in inputs[:_WARM_UP]:
        ask(each)
    spent = []
    for each in inputs:
        begin = time.perf_counter()
        ask(each)
        spent.append((time.perf_counter() - begin) * 1000)
    p50, p99 = np.quantile(spent, [0.5, 0.99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def rate(ask: Callable[[], Any], units: int) -> float:
    """Units a second, the median of some rounds of a warm model."""
    ask()
    seconds = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - begin)
    return round(units / float(np.median(seconds)), 1)


def encoder() -> dict[str, Any]:
    """Titles a second by each form of the encoder, and how near its vectors are."""
    import torch

    titles = [f"{words} number {n}" for n, words in enumerate(_WORDS * (_TITLES // len(_WORDS)))]
    plain = embeddings._encoder()
    full = plain.encode(titles, batch_size=64, normalize_embeddings=True)
    small = torch.ao.quantization.quantize_dynamic(plain, {torch.nn.Linear}, dtype=torch.qint8)
    forms: dict[str, Callable[[Sequence[str]], Any]] = {
        "full_precision": lambda texts: plain.encode(
            texts, batch_size=64, normalize_embeddings=True
        ),
        "as_served": embeddings.encode,
        "weights_of_8_bits": lambda texts: small.encode(
            texts, batch_size=64, normalize_embeddings=True
        ),
    }
    return {
        name: {
            "one": one(ask, [[title] for title in titles[:_SINGLES]]),
            "titles_per_s": rate(lambda ask=ask: ask(titles), len(titles)),
            "least_cosine": round(float((np.asarray(ask(titles)) * full).sum(axis=1).min()), 6),
        }
        for name, ask in forms.items()
    }


_WORDS = (
    "10 things nobody tells you about moving abroad", "Full match highlights", "Weekly update",
    "How to bake sourdough bread at home without any special equipment", "Live from the studio",
    "Learn Python in one hour", "Why is the sky blue?", "The best phones of the year, compared",
)  # fmt: skip


if __name__ == "__main__":
    main()

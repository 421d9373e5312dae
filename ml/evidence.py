"""What a training leaves beside its model: statistics of what it saw, and pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
Draw = Callable[[Any], None]


def feature_statistics(frame: pd.DataFrame) -> str:
    """JSON by column: rows, missing share and distinct values; of numbers also their spread.

    Numbers have `mean`, `std`, `min`, `p05`, `p50`, `p95` and `max` of what is not missing, other
    columns their five most frequent values. A column without any value has neither.
    """
    import pandas as pd

    found: dict[str, dict[str, Any]] = {}
    for name, column in frame.items():
        known = column.dropna()
        facts: dict[str, Any] = {
            "rows": len(column),
            "missing": round(float(column.isna().mean()), 6) if len(column) else 0.0,
            "distinct": int(known.nunique()),
        }
        if len(known) and pd.api.types.is_numeric_dtype(column):
            values = known.to_numpy(dtype=np.float64)
            low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
            numbers = {
                "mean": values.mean(), "std": values.std(), "min": values.min(), "p05": low,
                "p50": middle, "p95": high, "max": values.max(),
            }  # fmt: skip
            facts |= {key: float(f"{value:.6g}") for key, value in numbers.items()}
        elif len(known):
            counts = known.astype(str).value_counts().head(5)
            facts["most_frequent"] = {str(value): int(rows) for value, rows in counts.items()}
        found[str(name)] = facts
    return json.dumps(found, indent=1)


def svg(draw: Draw) -> str:
    """What `draw` puts on the axes it is given, as SVG; the same numbers give the same text."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    draw(figure.subplots())
    text = io.StringIO()
    # Neither a date nor random ids.
    with rc_context({"svg.hashsalt": "ytempire"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def calibration_picture(table: Sequence[tuple[float, float, int]]) -> str:
    """Observed shares over forecasts; `table` as `ml.measures.calibration_table` gives it."""

    def draw(axes: Any) -> None:
        means, shares, rows = (np.array(column) for column in zip(*table, strict=True))
        axes.axline((0, 0), slope=1, color="grey", linewidth=0.8)
        axes.plot(means, shares, linewidth=1)
        axes.scatter(means, shares, s=8 + 150 * rows / rows.sum())
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="forecast", ylabel="happened")
        axes.set_title(f"Calibration on the test part, {rows.sum():,} rows")

    return svg(draw)


def errors_picture(errors: Array, label: str) -> str:
    """Histogram of errors; `label` says what they are, with their unit."""

    def draw(axes: Any) -> None:
        # A few far ones would press all others into one bar.
        low, high = np.quantile(errors, [0.005, 0.995])
        axes.hist(np.clip(errors, low, high), bins=60)
        axes.axvline(0, color="grey", linewidth=0.8)
        axes.set(xlabel=label, ylabel="rows", title="Errors on the test part")

    return svg(draw)


def curves_picture(curves: Mapping[str, Sequence[float]], x: str, y: str) -> str:
    """Learning curves: a line a name, over its steps."""

    def draw(axes: Any) -> None:
        for name, values in curves.items():
            axes.plot(np.arange(1, len(values) + 1), values, linewidth=1, label=name)
        axes.set(xlabel=x, ylabel=y, title="Learning curve")
        axes.legend()

    return svg(draw)

"""The page of a drift report: our verdicts, and Evidently's picture of a sample."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ml.monitoring.shift import ColumnShift
from ml.monitoring.windows import CATEGORICAL

if TYPE_CHECKING:
    import pandas as pd

_MOST_COLUMNS = 20
# On a quiet day the columns that came nearest to a call are shown.
_NEAREST = 6
_MOST_LISTED = 200
_HEADINGS = ("column", "verdict", "strongest test", "q value", "effect", "PSI", "missing before",
             "missing now", "mean before", "mean now")  # fmt: skip


def render(
    title: str,
    shifts: Sequence[ColumnShift],
    verdicts: Mapping[str, str],
    reference: pd.DataFrame,
    current: pd.DataFrame,
) -> bytes:
    """Render the report as one HTML page.

    Args:
        title: what was compared.
        shifts: what the tests say of every column.
        verdicts: by column.
        reference: a sample of the rows compared with.
        current: a sample of the rows watched.
    """
    ordered = sorted(shifts, key=lambda shift: (not shift.is_shifted, shift.p_value, shift.name))
    drawable = [shift for shift in ordered if _has_values(shift.name, reference, current)]
    called = [shift.name for shift in drawable if shift.is_shifted]
    shown = called[:_MOST_COLUMNS] or [shift.name for shift in drawable[:_NEAREST]]
    note = (
        f"Decided by tests on all rows; {len(shown)} columns are drawn below by Evidently from a"
        f" sample of {len(reference)} and {len(current)} rows, whose own calls decide nothing."
    )
    table = _table(ordered[:_MOST_LISTED], verdicts)
    head = f"<h1>{escape(title)}</h1><p>{escape(note)}</p>{table}".encode()
    if not shown:
        return b"<!doctype html><html><meta charset='utf-8'><body>" + head + b"</body></html>"
    html = _evidently(reference[shown], current[shown])
    before, body, after = html.partition(b"<body>")
    if not body:
        return head + html
    return (
        before
        + body
        + b"<div style='margin:2em;font-family:sans-serif'>"
        + head
        + b"</div>"
        + (after)
    )


def _has_values(name: str, *frames: pd.DataFrame) -> bool:
    return all(name in frame and frame[name].notna().any() for frame in frames)


def _evidently(reference: pd.DataFrame, current: pd.DataFrame) -> bytes:
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = [name for name in reference if name in CATEGORICAL]
    numbers = [name for name in reference if name not in CATEGORICAL]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=kinds)
    typed = [
        frame.astype({**dict.fromkeys(numbers, float), **dict.fromkeys(kinds, str)})
        for frame in (current, reference)
    ]
    snapshot = Report([DataDriftPreset()]).run(
        *(Dataset.from_pandas(frame, data_definition=definition) for frame in typed)
    )
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        snapshot.save_html(str(page))
        return page.read_bytes()


def _table(shifts: Sequence[ColumnShift], verdicts: Mapping[str, str]) -> str:
    rows = [
        (
            shift.name,
            verdicts[shift.name],
            shift.strongest,
            f"{shift.q_value:.3g}",
            f"{shift.effect:.2f}",
            f"{shift.psi:.3f}",
            f"{shift.reference_missing:.1%}",
            f"{shift.current_missing:.1%}",
            "" if shift.reference_mean is None else f"{shift.reference_mean:.4g}",
            "" if shift.current_mean is None else f"{shift.current_mean:.4g}",
        )
        for shift in shifts
    ]
    lines = [_line("th", _HEADINGS), *(_line("td", row) for row in rows)]
    return f"<table border='1' cellpadding='4'>{''.join(lines)}</table>"


def _line(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

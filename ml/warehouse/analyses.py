"""Questions that analysts ask of the marts, answered in one page: `analyses/*.sql`.

A file is one query, run as the analyst, with its question before it:

    /*
    title: Rising topics this week
    answer: "{label} grew most: {growth:.1f} times."
    chart: {kind: bar, x: growth, y: label}
    */
    select ...

`answer` is filled in from the first row; `kind` is `bar`, `line` (one line for each `colour`),
`scatter` or `heat` (`colour` by `x` and `y`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import psycopg
import yaml
from psycopg.rows import dict_row

from ml.exceptions import ConfigurationError, FatalError
from ml.settings import PROJECT_ROOT, Settings, get_settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect

ANALYSES_KEY = "analyses/index.html"
_FOLDER = PROJECT_ROOT / "analyses"
_HEADER = re.compile(r"\A/\*\n(.*?)\n\*/\n", re.DOTALL)
_TIMEOUT = "60s"
_ROWS_SHOWN = 15
_BARS, _LINES = 15, 8
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
       color: #1c2128; background: #fff; }
table { border-collapse: collapse; font-size: 13px; }
th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #d8dee4; }
svg { max-width: 100%; height: auto; } pre { overflow-x: auto; background: #f6f8fa; padding: 1rem; }
"""

Kind = Literal["bar", "line", "scatter", "heat"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Chart:
    """What is drawn; `x`, `y` and `colour` are columns of the result."""

    kind: Kind
    x: str
    y: str
    colour: str | None = None


@dataclass(frozen=True)
class Analysis:
    """A question and its query."""

    name: str
    title: str
    answer: str
    chart: Chart
    sql: str


def read_analyses(folder: Path = _FOLDER) -> list[Analysis]:
    """The questions, by file name.

    Raises:
        ConfigurationError: if a file has no header, or an incomplete one; the message names it.
    """
    return [_read(path) for path in sorted(folder.glob("*.sql"))]


def _read(path: Path) -> Analysis:
    text = path.read_text()
    header = _HEADER.match(text)
    if header is None:
        raise ConfigurationError(f"{path.name} must begin with a comment of title, answer, chart")
    try:
        said = yaml.safe_load(header[1])
        chart = Chart(**said["chart"])
        return Analysis(path.stem, said["title"], said["answer"], chart, text[header.end() :])
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path.name}: the header is not complete: {error}") from error


def publish_analyses(
    on_progress: Callable[[str], None] = lambda _: None, settings: Settings | None = None
) -> str:
    """Answer every question on the published marts and write the page to the reports bucket.

    Returns:
        The key of the page.

    Raises:
        FatalError: if a query fails; the message names its file.
        ServiceUnavailableError: if Postgres or object storage does not answer.
    """
    settings = settings or get_settings()
    sections = []
    with connect(settings.require("analyst_database_url")) as conn:
        conn.execute(f"set statement_timeout = '{_TIMEOUT}'")
        for analysis in read_analyses():
            on_progress(analysis.title)
            sections.append(render(analysis, ask(conn, analysis)))
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Analyses</title>'
        f"<style>{_STYLE}</style></head><body><h1>Analyses</h1>\n{''.join(sections)}</body></html>"
    )
    ObjectStore(settings).put_bytes(
        settings.bucket("reports"), ANALYSES_KEY, page.encode(), "text/html; charset=utf-8"
    )
    return ANALYSES_KEY


def ask(conn: psycopg.Connection, analysis: Analysis) -> list[Row]:
    """The rows of the answer.

    Raises:
        FatalError: if the query fails.
    """
    try:
        with conn.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(analysis.sql.encode()).fetchall())
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise FatalError(f"analyses/{analysis.name}.sql: {reason}") from error


def render(analysis: Analysis, rows: Sequence[Row]) -> str:
    """A section of the page: the answer in words, as a picture, as a table, and its SQL."""
    heading = f"<h2>{escape(analysis.title)}</h2>\n"
    query = f"<details><summary>SQL</summary><pre>{escape(analysis.sql)}</pre></details>\n"
    if not rows:
        return f"{heading}<p>The marts hold nothing that answers this yet.</p>\n{query}"
    answer = escape(_Answer().vformat(analysis.answer, (), rows[0]))
    return f"{heading}<p>{answer}</p>\n{_draw(analysis.chart, rows)}\n{_table(rows)}{query}"


class _Answer(Formatter):
    """Says what is not known instead of failing at it."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return "unknown" if value is None else str(super().format_field(value, format_spec))


def _table(rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_shown(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows[:_ROWS_SHOWN]
    )
    more = f"<p>{len(rows) - _ROWS_SHOWN} more rows</p>" if len(rows) > _ROWS_SHOWN else ""
    return f"<table><tr>{head}</tr>{body}</table>{more}\n"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


def _draw(chart: Chart, rows: Sequence[Row]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    _DRAWN[chart.kind](axes, chart, rows)
    axes.set_xlabel(chart.x.replace("_", " "))
    axes.set_ylabel(chart.y.replace("_", " "))
    drawn = io.StringIO()
    # Text stays text, so that a page of ten pictures stays small and can be searched.
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ytempire"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue().partition("-->")[2] or drawn.getvalue()


def _bars(axes: Any, chart: Chart, rows: Sequence[Row]) -> None:
    shown = list(reversed(rows[:_BARS]))
    labels = [_plain(row[chart.y]) for row in shown]
    axes.barh(range(len(shown)), [float(row[chart.x] or 0) for row in shown], color="#2f6f9f")
    axes.set_yticks(range(len(shown)), labels)


def _lines(axes: Any, chart: Chart, rows: Sequence[Row]) -> None:
    series: dict[str, list[Row]] = {}
    for row in rows:
        series.setdefault(_plain(row[chart.colour]) if chart.colour else "", []).append(row)
    for name, points in list(series.items())[:_LINES]:
        ordered = sorted(points, key=lambda row: row[chart.x])
        axes.plot([p[chart.x] for p in ordered], [p[chart.y] for p in ordered], label=name)
    if chart.colour:
        axes.legend(fontsize=8)


def _scatter(axes: Any, chart: Chart, rows: Sequence[Row]) -> None:
    axes.scatter([row[chart.x] for row in rows], [row[chart.y] for row in rows], s=12, alpha=0.6)


def _heat(axes: Any, chart: Chart, rows: Sequence[Row]) -> None:
    across = sorted({row[chart.x] for row in rows})
    down = sorted({row[chart.y] for row in rows})
    cells = [[float("nan")] * len(across) for _ in down]
    for row in rows:
        value = row[str(chart.colour)]
        if value is not None:
            cells[down.index(row[chart.y])][across.index(row[chart.x])] = float(value)
    image = axes.imshow(cells, aspect="auto", cmap="viridis")
    axes.set_xticks(range(len(across)), [_plain(name) for name in across], rotation=90, fontsize=8)
    axes.set_yticks(range(len(down)), [_plain(name) for name in down], fontsize=8)
    axes.figure.colorbar(image, label=str(chart.colour).replace("_", " "))


_DRAWN: dict[str, Callable[[Any, Chart, Sequence[Row]], None]] = {
    "bar": _bars,
    "line": _lines,
    "scatter": _scatter,
    "heat": _heat,
}


def _plain(value: Any) -> str:
    """A label in what the picture's font can show; the table has the whole text."""
    shown = "".join(c if ord(c) in _glyphs() else "\u25a1" for c in str(value)[:40])
    return shown.replace("$", r"\$")  # no mathematics


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())

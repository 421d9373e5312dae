from __future__ import annotations

from datetime import date

import pytest

from ml.exceptions import ConfigurationError
from ml.warehouse.analyses import Analysis, Chart, read_analyses, render

ROWS = [
    {"label": "<b>cats</b> $5", "growth": 3.25, "day": date(2026, 3, 1)},
    {"label": "dogs", "growth": None, "day": date(2026, 3, 2)},
]


def analysis(chart):
    return Analysis("rising", "Rising?", "{label} grew {growth:.1f} times.", chart, "select 1 < 2")


@pytest.mark.parametrize(
    "chart",
    [
        Chart("bar", "growth", "label"),
        Chart("line", "day", "growth", "label"),
        Chart("scatter", "day", "growth"),
        Chart("heat", "day", "label", "growth"),
    ],
    ids=lambda chart: chart.kind,
)
def test_an_answer_is_words_a_picture_and_a_table(chart):
    page = render(analysis(chart), ROWS)
    assert "&lt;b&gt;cats&lt;/b&gt; $5 grew 3.2 times." in page
    assert "<b>cats" not in page
    assert "<svg" in page
    assert "<td>dogs</td>" in page
    assert "select 1 &lt; 2" in page


def test_what_is_unknown_and_what_the_font_cannot_show_are_no_failure(recwarn):
    rows = [{"label": "\u0905\u092c", "growth": None, "day": date(2026, 3, 1)}]
    page = render(analysis(Chart("bar", "growth", "label")), rows)
    assert "\u0905\u092c grew unknown times." in page
    assert not recwarn.list


def test_without_rows_it_says_so():
    page = render(analysis(Chart("bar", "growth", "label")), [])
    assert "nothing that answers this yet" in page
    assert "<svg" not in page


def test_a_file_without_its_header_is_named(tmp_path):
    (tmp_path / "lost.sql").write_text("select 1")
    with pytest.raises(ConfigurationError, match=r"lost\.sql must begin with"):
        read_analyses(tmp_path)
    (tmp_path / "lost.sql").write_text("/*\ntitle: T\n*/\nselect 1")
    with pytest.raises(ConfigurationError, match=r"lost\.sql: the header is not complete"):
        read_analyses(tmp_path)


def test_every_analysis_of_the_repository_reads():
    found = read_analyses()
    assert len(found) >= 10
    assert all(each.chart.kind in ("bar", "line", "scatter", "heat") for each in found)

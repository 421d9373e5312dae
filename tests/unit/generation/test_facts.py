from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ml.generation.brief import SeriesPoint
from ml.generation.facts import series_sentence, shorten_title, video_fact

START = datetime(2026, 5, 1, tzinfo=UTC)


def points(*values: float, step: timedelta = timedelta(days=1)) -> list[SeriesPoint]:
    return [SeriesPoint(at=START + i * step, value=value) for i, value in enumerate(values)]


def test_a_video_fact_names_title_maker_and_numbers():
    fact = video_fact(
        title="Reveal Trailer | Call of Duty", channel_title="Call of Duty", views=28_189_527,
        views_gained=1_300_000, source="youtube", video_id="abc", regions_listed=12,
    )  # fmt: skip
    assert fact.text == (
        '"Reveal Trailer" by Call of Duty has 28.2 million views, 1.3 million of them new in a day'
        " and is on the charts of 12 countries."
    )
    assert fact.url == "https://www.youtube.com/watch?v=abc"


def test_hidden_views_are_not_called_zero():
    fact = video_fact(title="Overland Gladiator", channel_title=None, views=0, source="youtube")
    assert fact.text == '"Overland Gladiator" is on the chart.'


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((1e6, 2e6, 4e6), "has risen from 1 million to 4 million within 2 days."),
        ((4e6, 1e6), "has fallen from 4 million to 1 million within 24 hours."),
        ((5e5, 5e5), "has stayed at 500 thousand within 24 hours."),
    ],
)
def test_the_trend_is_told_as_measured(values, said):
    assert series_sentence("Roblox", points(*values), "views").endswith(said)


def test_one_point_is_no_trend():
    with pytest.raises(ValueError, match="two points"):
        series_sentence("Roblox", points(1.0), "views")


def test_only_the_quoted_title_at_the_start_is_shortened():
    long = '"Legends: Z-A Mega Dimension | Official Launch Trailer" by X | Y has 3 views.'
    assert shorten_title(long) == '"Legends: Z-A Mega Dimension" by X | Y has 3 views.'
    assert shorten_title("Plain words | here") == "Plain words | here"

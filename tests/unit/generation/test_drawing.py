from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ml.generation import drawing
from ml.generation.brief import ChannelBrief, SeriesPoint, VideoBrief
from ml.generation.stills import highlight, nice_axis, quoted
from ml.generation.thumbnail import MAX_BYTES, SIZE, brightest, compose, save_jpeg

COLOR = st.tuples(*[st.integers(0, 255)] * 3)


def brief(**changes) -> VideoBrief:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    series = tuple(SeriesPoint(at=start + timedelta(days=i), value=10.0 * i) for i in range(5))
    values = {
        "video_id": "v", "channel": ChannelBrief(channel_id="c", name="Trend Lab"),
        "topic": "Roblox", "series": series, "as_of": start,
    }  # fmt: skip
    return VideoBrief(**values | changes)


@pytest.mark.parametrize(
    ("first", "second", "ratio"),
    [
        ((0, 0, 0), (255, 255, 255), 21.0),
        ((255, 0, 0), (255, 255, 255), 4.0),
        ((9, 9, 9),) * 2 + (1.0,),
    ],
)
def test_contrast_has_the_values_of_the_standard(first, second, ratio):
    assert drawing.contrast(first, second) == pytest.approx(ratio, abs=0.01)


@given(COLOR, COLOR)
def test_any_colour_can_be_made_readable_on_any_other(color, ground):
    assert drawing.contrast(drawing.readable(color, ground, 4.5), ground) >= 4.2


@given(st.text(st.characters(max_codepoint=591), min_size=1, max_size=200).filter(str.strip))
def test_fitted_text_stays_inside_its_box(text):
    size, lines = drawing.fit(text, (600, 300), 90, 24)
    assert len(lines) * drawing.line_height(size) <= 300
    assert all(drawing.font(size).getlength(line.removesuffix("...")) <= 600 for line in lines)


@pytest.mark.parametrize("topic", ["Roblox", "why people keep building castles of sand " * 3])
@pytest.mark.parametrize("colors", [("#ffffff", "#ffee00"), ("#10243f", "#2563eb", "#fbbf24")])
def test_headline_of_a_thumbnail_can_be_read_and_the_file_is_small(tmp_path, topic, colors):
    channel = ChannelBrief(channel_id="c", name="Trend Lab", brand_colors=colors)
    image, ratio, letters = compose(brief(channel=channel), topic, 1)
    assert image.size == SIZE
    assert ratio >= drawing.MIN_CONTRAST
    assert letters >= 0.05 * SIZE[1]
    assert save_jpeg(image, tmp_path / "t.jpg").stat().st_size < MAX_BYTES


def test_variants_differ_and_repeat_by_seed():
    first = [compose(brief(seed=3), "Roblox", number)[0].tobytes() for number in range(3)]
    again = [compose(brief(seed=3), "Roblox", number)[0].tobytes() for number in range(3)]
    assert first == again
    assert len(set(first)) == 3


def test_brightest_part_decides_the_contrast():
    image = drawing.gradient((200, 100), (0, 0, 0), (250, 250, 250), 0.0)
    assert min(brightest(image, (0, 0, 200, 100))) > 230


@given(st.lists(st.floats(0, 1e10), min_size=2, max_size=20))
@example([0.0, 5e-324])
def test_axis_begins_at_zero_and_holds_every_value(values):
    low, high, ticks = nice_axis(values)
    assert low == 0
    assert high >= max(values)
    assert ticks[-1] == pytest.approx(high)


def test_the_number_of_a_fact_is_shown_large():
    assert highlight("It has 3.8 million views.") == ("3.8 million", "views")
    assert highlight("It is a good video.") == ("", "")


def test_a_fact_card_shows_title_and_maker():
    assert quoted('"A day" by Bob has 3 views.') == '"A day" - Bob'
    assert quoted("A plain fact.") == "A plain fact."

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import ImageFilter

from ml.generation import drawing
from ml.generation.brief import ChannelBrief, SeriesPoint, VideoBrief
from ml.generation.stills import highlight, nice_axis, quoted
from ml.generation.thumbnail import MAX_BYTES, save_jpeg
from ml.generation.thumbnail_compose import CORNER, MARGIN, SIZE, change, compose
from ml.generation.thumbnail_score import nearest_ground, score

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


@pytest.mark.parametrize(
    ("topic", "colors"),
    [
        ("Roblox", ("#ffffff", "#ffee00")),
        ("why people keep building castles of sand " * 3, ("#10243f", "#2563eb", "#fbbf24")),
    ],
)
def test_headline_of_a_thumbnail_can_be_read_and_the_file_is_small(tmp_path, topic, colors):
    channel = ChannelBrief(channel_id="c", name="Trend Lab", brand_colors=colors)
    for number in range(5):
        drawn = compose(brief(channel=channel, synthetic=True), topic, number)
        assert drawn.image.size == SIZE
        assert drawn.contrast >= drawing.MIN_CONTRAST
        assert drawn.letters >= 0.05 * SIZE[1]
        for left, top, right, bottom in drawn.boxes:
            assert left >= MARGIN
            assert (top, bottom) >= (36, 0)
            assert right <= SIZE[0] - 8
            assert bottom <= SIZE[1] - 8
            assert right <= CORNER[0] or bottom <= CORNER[1], (number, drawn.layout)
    assert save_jpeg(drawn.image, tmp_path / "t.jpg").stat().st_size < MAX_BYTES


def test_ten_variants_differ_and_repeat_by_seed():
    first = [compose(brief(seed=3), "Roblox", number) for number in range(10)]
    assert compose(brief(seed=3), "Roblox", 7).image.tobytes() == first[7].image.tobytes()
    assert len({(d.layout, d.scheme) for d in first}) == 10
    plain = {compose(brief(series=()), "Roblox", n).image.tobytes() for n in (0, 1, 4, 8)}
    assert len(plain) == 4


def test_a_photograph_behind_the_headline_is_darkened_until_it_can_be_read():
    photo = drawing.gradient((800, 800), (255, 255, 255), (240, 240, 240), 0.3)
    for number in (0, 2, 4):
        drawn = compose(brief(), "Roblox castles", number, photo)
        assert drawn.contrast >= drawing.MIN_CONTRAST


def test_the_part_most_like_the_ink_decides_the_contrast():
    image = drawing.gradient((200, 100), (0, 0, 0), (250, 250, 250), 0.0)
    assert min(nearest_ground(image, (0, 0, 200, 100), drawing.WHITE)) > 230
    assert max(nearest_ground(image, (0, 0, 200, 100), drawing.INK)) < 25


def test_a_blurred_picture_scores_lower_than_a_sharp_one():
    sharp = compose(brief(), "Roblox", 0).image
    blurred = sharp.filter(ImageFilter.GaussianBlur(6))
    assert score(blurred, 7.0, 72).score < score(sharp, 7.0, 72).score
    flat = sharp.point(lambda value: 100 + value // 10)
    assert score(flat, 7.0, 72).spread < score(sharp, 7.0, 72).spread


@pytest.mark.parametrize(
    ("values", "said"),
    [((10, 25), "x2.5"), ((100, 80), "-20 %"), ((0, 1500), "1.5 THOUSAND VIEWS")],
)
def test_the_change_of_a_curve_is_said_in_one_label(values, said):
    start = datetime(2026, 5, 1, tzinfo=UTC)
    series = tuple(SeriesPoint(at=start + timedelta(days=i), value=v) for i, v in enumerate(values))
    assert change(brief(series=series)) == said


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

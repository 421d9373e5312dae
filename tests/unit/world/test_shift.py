"""A world in which other videos are made from a day on."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.world import chart, noise, videos
from ml.world.parameters import WORLD_START
from ml.world.scale import scale_of, seed_of, sized
from ml.world.shift import Shift, parse_shift, shift_of, shifted
from ml.world.vocabulary import vocabulary

SEED, DAY = 7, 30
NAMES = [niche.name for niche in vocabulary().niches]
_FACTORS = st.integers(1, 65_535).map(lambda steps: steps / 100)


@given(
    st.integers(0, 2**40 - 1),
    st.sampled_from([0.05, 1.0, 2.5, 200.0]),
    st.builds(
        Shift,
        st.integers(0, 65_535),
        st.frozensets(st.integers(0, len(NAMES) - 1)),
        _FACTORS,
        _FACTORS,
    ),
)
def test_a_world_knows_its_shift_and_all_else(seed: int, scale: float, shift: Shift) -> None:
    world = shifted(sized(seed, scale), shift)
    assert (seed_of(world), scale_of(world), shift_of(world)) == (seed, scale, shift)
    assert noise.stream_key(world, "any") == noise.stream_key(seed, "any")
    assert shifted(world, None) == sized(seed, scale)
    assert shift_of(sized(seed, scale)) is None


def test_a_shift_is_read_from_a_text() -> None:
    at = WORLD_START + timedelta(days=DAY)
    read = parse_shift(f"at={at:%Y-%m-%d}; niches={NAMES[2]}+{NAMES[0]}; views=4;growth=1.5")
    assert read == Shift(DAY, frozenset({0, 2}), 4.0, 1.5)
    assert parse_shift(" ") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("views=2", "needs the day"),
        ("at=2025-12-31", "from 2026-01-01 on"),
        ("at=2026-02-01T06:00", "begins with a day"),
        ("at=2026-02-01;niches=knitting", "unknown niche 'knitting'"),
        ("at=2026-02-01;views=0", "views must be from"),
        ("at=2026-02-01;likes=2", "unknown option 'likes'"),
    ],
)
def test_what_is_not_understood_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_shift(text)


def test_what_was_published_before_stays_and_what_follows_is_other() -> None:
    favoured = frozenset({NAMES.index("cooking")})
    world = shifted(SEED, Shift(DAY, favoured, 4.0, 1.5))
    before, usual = (videos.videos_of_day(each, DAY - 1) for each in (world, SEED))
    after, meant = (videos.videos_of_day(each, DAY) for each in (world, SEED))
    for name in videos.Videos.__dataclass_fields__:
        assert np.array_equal(getattr(before, name), getattr(usual, name)), name
    assert np.array_equal(after.published, meant.published)
    shares = [np.isin(each.niche, list(favoured)).mean() for each in (after, meant)]
    assert shares[0] > 5 * shares[1]
    same = after.niche == meant.niche
    assert (after.beta[same] / meant.beta[same]).mean() == pytest.approx(1.5, rel=0.1)
    assert np.exp(after.views_24h).mean() > 2 * np.exp(meant.views_24h).mean()
    # Charts of the time before do not know of it.
    minute = DAY * 24 * 60 - 1
    listed = [chart.chart(each, "US", minute) for each in (world, SEED)]
    assert np.array_equal(listed[0].ids, listed[1].ids)

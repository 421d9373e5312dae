from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.topics.labels import clean_title, embedding_text, shortened


@pytest.mark.parametrize(
    ("title", "channel", "label"),
    [
        ("Skinny Flex - BOMBOCLAT (Official Video)", "Skinny Flex", "Skinny Flex - BOMBOCLAT"),
        ("Draw the Wheels to Win! 😆 #shorts", None, "Draw the Wheels to Win!"),
        ("Map Reveal | Marvel Rivals", "Marvel Rivals", "Map Reveal"),
        ("Every Year After - Trailer | Prime Video", None, "Every Year After - Trailer"),
        ("Subnautica 2 Gameplay [4K 60FPS]", None, "Subnautica 2 Gameplay"),
        ("SIDEMEN AMONG US CHAOS MODE", None, "Sidemen Among US Chaos Mode"),
        ("DOORS | Full Walkthrough of Floor Two", None, "Doors - Full Walkthrough of Floor Two"),
        ("#shorts", None, "#shorts"),
    ],
)  # fmt: skip
def test_noise_is_removed_from_titles(title, channel, label):
    assert clean_title(title, channel).casefold() == label.casefold()


@given(st.text(min_size=1, max_size=120).filter(lambda text: text.strip()))
def test_a_label_is_never_empty_and_never_long(title):
    label = clean_title(title)
    assert label
    assert len(label) <= 80


def test_long_label_is_cut_between_words():
    assert shortened("word " * 40) == ("word " * 16).strip()


def test_kind_of_video_does_not_enter_the_embedding():
    assert embedding_text("Kara - Official Trailer") == "Kara"
    assert embedding_text("Official Trailer") == "Official Trailer"

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.topics.junk import junk_by_rules


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("", "empty"),
        ("🔥🔥🔥", "empty"),
        ("12.05.2026", "empty"),
        ("#shorts #viral", "hashtags"),
        ("@somebody", "hashtags"),
        ("LIVE 🔴", "boilerplate"),
        ("Official Music Video", "boilerplate"),
        ("Main Page", "boilerplate"),
        ("Special:Search", "boilerplate"),
        ("Use code SAVE20 at checkout", "advertisement"),
        ("Pregnant Day Out! #Ad", "advertisement"),
        ("Acme (YC W21) is hiring a backend engineer", "advertisement"),
    ],
)
def test_titles_about_nothing_are_named_with_the_rule(title, reason):
    assert junk_by_rules(title) == reason


@pytest.mark.parametrize(
    "title",
    [
        "It",
        "ZAYN - PILLOWTALK",
        "Live Forever",
        "GTA 6",
        "Log4j RCE Found",
        "STEAL A BRAINROT GIVEAWAY LIVE",
        "Special K: how cereal is made",
        "99% OFF IN MEGUMI FUSHIGURO BUNDLE?",
        "Show HN: a code editor to use on trains",
        "クラブ",
    ],
)
def test_titles_about_something_are_no_junk(title):
    assert junk_by_rules(title) is None


@given(st.text(max_size=150))
def test_any_text_gets_a_reason_or_none(title):
    assert junk_by_rules(title) in {None, "empty", "hashtags", "boilerplate", "advertisement"}

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.topics.language import detect, title_language


@pytest.mark.parametrize(
    ("title", "declared", "language"),
    [
        ("How I built a castle", "en-US", "en"),
        ("How I built a castle", None, "en"),
        ("Как я построил замок", "en", "ru"),
        ("Como construí un castillo en el campo", None, "es"),
        ("Como construí un castillo", "es-419", "es"),
        ("Tebaa'n Tebaa'n", "und", None),
        ("ENHYPEN 'Knife'", "ko", "ko"),
        ("עדן בן זקן - רולקס וקסקט", "iw", "he"),
        ("Imposter", None, None),
        ("Imposter", "english please", None),
        ("", None, None),
        ("🔥🔥🔥 12:34", None, None),
    ],
)
def test_language_follows_declaration_unless_the_title_contradicts(title, declared, language):
    assert title_language(title, declared) == language


def test_source_in_one_language_needs_no_detection():
    assert title_language("Log4j RCE", None) is None
    assert title_language("Log4j RCE", None, "hackernews") == "en"
    assert title_language("这是一个用来学习编程的中文项目", None, "github-trending") == "zh"


def test_tags_help_where_the_title_leaves_doubt():
    tags = ("how to build a wooden house", "do it yourself", "step by step guide for beginners")
    assert title_language("DIY #4", None) is None
    assert title_language("DIY #4", None, tags=tags) == "en"


@given(st.text(max_size=120), st.one_of(st.none(), st.text(max_size=12)))
def test_any_text_has_a_language_or_none(title, declared):
    language = title_language(title, declared)
    assert language is None or 2 <= len(language) <= 3
    assert 0 <= detect(title)[1] <= 1

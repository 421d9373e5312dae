from __future__ import annotations

import pytest

from ml.topics.language import title_language


@pytest.mark.parametrize(
    ("title", "declared", "language"),
    [
        ("How I built a castle", "en-US", "en"),
        ("How I built a castle", None, "en"),
        ("Как я построил замок", "en", None),
        ("Como construí un castillo", "es-419", "es"),
        ("Tebaa'n Tebaa'n", "und", None),
        ("", None, None),
    ],
)
def test_language_follows_declaration_unless_the_script_contradicts(title, declared, language):
    assert title_language(title, declared) == language

from __future__ import annotations

import math

import numpy as np
import pytest

from ml.quality.policy.heuristics import coherence, readability, sentences, syllables
from ml.quality.policy.texts import clean, mood
from ml.quality.style import STYLE, style


def test_a_tweet_loses_what_only_tweets_have():
    tweet = "!!! RT @someone: what a #great_day &amp; night http://t.co/xyz soooooo"
    assert clean(tweet, "toxicity") == "what a great day & night soo"


def test_a_comment_keeps_its_links_and_loses_its_markup():
    comment = 'see <a href="http://x.example/a">this</a><br />now\ufeff'
    assert clean(comment, "spam") == "see http://x.example/a this now"


def test_style_is_about_writing_and_is_finite_for_empty_texts():
    rows = style(["", "YOU WON'T BELIEVE THIS!!", "a quiet title", "🎉"])
    assert rows.shape == (4, len(STYLE))
    assert np.isfinite(rows).all()
    assert (rows[1, 0], rows[2, 0]) == (1.0, 0.0)


def test_an_insult_darkens_the_mood():
    kind, rude = mood(["you are wonderful", "you are a stupid idiot"])
    assert rude[2] < 0 < kind[2]  # VADER's compound


def test_syllables_of_known_words():
    words = {"make": 1, "table": 2, "banana": 3, "the": 1, "readability": 5, "free": 1}
    assert {word: syllables(word) for word in words} == words


def test_sentences_end_at_marks_and_lines():
    assert sentences('He said "no." Then 3.5 left!\nWhy?') == [
        'He said "no.',
        "Then 3.5 left!",
        "Why?",
    ]


def test_readability_follows_the_formula():
    text = "The cat sat on the mat. " * 4
    # 6 words a sentence, 1 syllable a word
    assert readability(text) == pytest.approx(206.835 - 1.015 * 6 - 84.6)
    hard = "Institutional considerations necessitate comprehensive organisational reconfiguration. "
    assert readability(hard * 4) < 0
    assert math.isnan(readability("too short to say"))


def test_coherent_text_is_more_coherent():
    together = "Cats sleep a lot. A cat sleeps most of the day. Sleeping keeps a cat healthy."
    apart = "Cats sleep a lot. The stock market fell in March. Turn left at the second bridge."
    scores = coherence([together, apart, "One sentence only."])
    assert scores[0] > scores[1] + 0.2
    assert math.isnan(scores[2])

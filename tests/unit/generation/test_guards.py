from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ml.generation.brief import ChannelBrief, Fact, VideoBrief
from ml.generation.guards import Grounds, first_sentence, objection

FACT = '"House of the Dragon Season 3" by HBO Max has 3.8 million views.'


@pytest.fixture
def grounds():
    brief = VideoBrief(
        video_id="v",
        channel=ChannelBrief(channel_id="c", name="Trend Lab"),
        topic="House of the Dragon season 3",
        facts=(Fact(text=FACT, source="youtube"),),
        as_of=datetime(2026, 5, 31, tzinfo=UTC),
    )
    return Grounds.of(brief)


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ("House of the Dragon Season 3 has reached 3.8 million views.", "fact", None),
        ("House of the Dragon Season 3 has reached 4.8 million views.", "fact", "number"),
        ("House of the Dragon Season 3 by HBO Max has two sequels.", "fact", "number"),
        ("House of the Dragon Season 3 by Netflix has 3.8 million views.", "fact", "name"),
        ("House of the Dragon Season 3 is infamous with 3.8 million views.", "fact", "novelty"),
        ("HBO has already reached 3.8 million views.", "fact", "coverage"),
        ("I love House of the Dragon season 3 a lot.", "why", "first person"),
        ("It is dragon and dragon and dragon again.", "why", "repetition"),
        ("People like House of the Dragon because it is a remake.", "why", "claim"),
        ("People like House of the Dragon because they love to guess.", "why", None),
        ("House of the Dragon is on HBO, and it is a season to watch.", "told", None),
        ("Have you seen House of the Dragon", "hook", "no question"),
        ("Dragons!", "why", "length"),
        ("", "why", "unfinished"),
    ],
)
def test_sentences_are_held_to_the_brief(grounds, said, kind, reason):
    assert objection(said, kind, grounds, FACT) == reason


def test_only_the_first_whole_sentence_of_an_answer_is_used():
    assert first_sentence("It has 3.8 million views. And then") == "It has 3.8 million views."


def test_an_answer_that_was_cut_off_is_not_used():
    assert first_sentence("People like it because they") == ""

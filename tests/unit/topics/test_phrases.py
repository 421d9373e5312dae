from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ml.topics.phrases import Phrases
from ml.topics.space import Words

SUBNAUTICA = [
    Words("Building a base in Subnautica 2", ("subnautica 2", "survival")),
    Words("Subnautica 2 is terrifying", ("subnautica 2",)),
    Words("My first hour of subnautica 2", ("gaming",)),
    Words("Exploring the reef"),
]
OTHERS = [Words(f"Cooking pasta number {number} is fun", ("gaming",)) for number in range(30)]
PHRASES = Phrases([*SUBNAUTICA, *OTHERS])
ORDER = [1, 0, 2, 3]


def test_phrase_that_most_titles_share_is_the_label_in_its_own_spelling():
    assert PHRASES.label(SUBNAUTICA, ORDER) == "Subnautica 2"


def test_phrase_of_generic_words_is_no_label():
    films = [Words(f"{name} Official Trailer") for name in ("Kara", "Peddi", "Bandar")]
    assert Phrases(films).label(films, [1, 0, 2]) == "Peddi Official Trailer"


def test_title_that_says_nothing_is_not_taken_for_the_middle_one():
    films = [Words("Official Trailer"), Words("Kara"), Words("Peddi")]
    assert Phrases(films).label(films, [0, 2, 1]) == "Peddi"


def test_single_word_is_a_label_only_if_it_is_a_name_here():
    reports = [Words("Log4j is on fire"), Words("Patch Log4j now"), Words("Who pays for Log4j?")]
    towns = ("Oslo", "Lima", "Bern", "Rome", "Kyiv", "Doha", "Baku", "Cairo", "Tunis", "Quito")
    elsewhere = [Words(f"{town} after the fire") for town in towns]
    assert Phrases([*reports, *elsewhere]).label(reports, [0, 1, 2]) == "Log4j"
    fires = elsewhere[:3]
    assert Phrases([*reports, *elsewhere]).label(fires, [2, 1, 0]) == "Bern after the fire"


def test_one_title_names_itself_and_a_label_stays_while_it_fits():
    assert PHRASES.label(SUBNAUTICA[:2], [1, 0]) == "Subnautica 2 is terrifying"
    assert PHRASES.label(SUBNAUTICA, ORDER, "Exploring the reef") == "Subnautica 2"
    assert PHRASES.label(SUBNAUTICA, ORDER, "subnautica 2") == "subnautica 2"


def test_keywords_are_what_sets_a_topic_apart():
    found = PHRASES.keywords(SUBNAUTICA)
    assert found[0] == "subnautica 2"
    assert "gaming" not in found
    assert not any(f" {a} " in f" {b} " for a in found for b in found if a != b)


def test_words_of_scripts_with_vowel_signs_stay_whole():
    songs = [Words("हिंदी गाने पुराने"), Words("हिंदी गाने नए"), Words("सब हिंदी गाने")]
    assert Phrases(songs).label(songs, [0, 1, 2]) == "हिंदी गाने"


titles = st.lists(st.text(max_size=60), min_size=1, max_size=8)


@given(titles, titles)
def test_every_topic_gets_a_label_of_its_titles(mine, others):
    members = [Words(title) for title in mine]
    phrases = Phrases([*members, *(Words(title) for title in others)])
    label = phrases.label(members, list(range(len(members))))
    assert len(label) <= 80
    assert not label or any(
        all(word in title for word in label.split()) for title in mine
    )  # its words come from one title, as they are spelled there

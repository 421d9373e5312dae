"""What Reddit, X and TikTok have in common: topics, texts and the scale of the world."""

from __future__ import annotations

import numpy as np
import pytest

from ml.world import posts, shorts, topics, x_posts
from ml.world.scale import sized
from ml.world.social import hashtag, social, text, topic_count, topic_numbers, topic_parts
from ml.world.vocabulary import vocabulary


def test_every_wording_has_its_number() -> None:
    for number in range(topic_count()):
        parts = topic_parts(number)
        assert topic_numbers(*(np.array([part]) for part in parts))[0] == number
    assert len({topic_parts(number) for number in range(topic_count())}) == topic_count()


@pytest.mark.parametrize("site", ["reddit", "x", "tiktok"])
def test_texts_are_whole_and_say_what_they_are_about(site: str) -> None:
    for number in range(0, topic_count(), 17):
        niche, subject, angle = topic_parts(number)
        words = vocabulary().niches[niche]
        for template in range(len(social().templates[site])):
            said = text(site, number, template)
            assert "{" not in said
            assert words.angles[angle].lower() in said.lower() or (
                hashtag(words.subjects[subject]).lower() in said.lower()
            )


def test_a_topic_reaches_x_before_reddit_before_tiktok() -> None:
    alive = topics.topics_of_day(7, 10)
    hours = np.arange(240.0, 340.0)
    peak = {
        site: hours[np.argmax(topics.intensity(alive, topics.phase(7, alive, site, hours)), axis=0)]
        for site in ("x", "reddit", "tiktok")
    }
    assert np.median(peak["x"]) < np.median(peak["reddit"]) < np.median(peak["tiktok"])


def test_a_hot_topic_is_talked_about_more_everywhere() -> None:
    alive = topics.topics_alive(7, 12)
    pull = topics.intensity(alive, topics.phase(7, alive, "x", np.array([12 * 24 + 12.0])))[0]
    hottest = int(np.argmax(pull))
    wording = topic_numbers(alive.niche, alive.subject, alive.angle)[hottest]
    for found in (
        posts.posts_of_day(7, 12).wording,
        shorts.shorts_of_day(7, 12).wording,
        x_posts.between(7, 288.0, 312.0).wording,
    ):
        usual = np.median(np.unique(found, return_counts=True)[1])
        assert (found == wording).sum() > 2 * usual


def test_a_small_world_is_part_of_a_bigger_one() -> None:
    small, big = sized(7, 0.05), sized(7, 2.0)
    for of_day in (posts.posts_of_day, shorts.shorts_of_day):
        few, many = of_day(small, 10), of_day(big, 10)
        assert len(many.ids) == 40 * len(few.ids)
        assert set(few.number.tolist()) <= set(many.number.tolist())
        assert len(set(many.number.tolist())) == len(many.ids)

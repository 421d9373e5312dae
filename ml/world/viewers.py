"""How viewers take to a video that was uploaded to the own channel.

All numbers are declared assumptions. What a video is shown for depends on how hot its topic is when
it comes out, how often it is clicked on its title and thumbnail, how long it is watched on its
length. The same video at the same moment always does the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ml.world import noise, topics
from ml.world import parameters as p
from ml.world.vocabulary import vocabulary

_IMPRESSIONS = 40_000.0  # of a video whose topic is as hot as the median topic at its peak
_INDIFFERENT = 0.05  # interest in a video about nothing that is talked about
_INTEREST_EXPONENT = 0.7
_CLICK_RATE = (0.045, 0.3)
_GROWTH_H = 36.0  # half of the impressions of a week come within 25 hours
_GOOD_TITLE = range(25, 71)  # characters
_WATCHED_AT_S = 60.0  # length at which the channel's usual share is watched
_WATCHED_EXPONENT = -0.1


@dataclass(frozen=True)
class Reception:
    """What an upload comes to.

    Attributes:
        published: hours since the world's start.
        impressions: how often its thumbnail is shown in all.
        click_rate: clicks by impression.
        watched_share: of its length, by view.
    """

    published: float
    impressions: float
    click_rate: float
    like_rate: float
    comment_rate: float
    watched_share: float
    subscribe_rate: float

    def at(self, hours: float) -> dict[str, int]:
        """Counts at a time; none of them ever falls."""
        age = max(hours - self.published, 0.0)
        shown = self.impressions * -float(np.expm1(-age / _GROWTH_H))
        views = int(shown * self.click_rate)
        return {
            "impressions": int(shown),
            "views": views,
            "likes": int(views * self.like_rate),
            "comments": int(views * self.comment_rate),
            "subscribersGained": int(views * self.subscribe_rate),
        }


def reception(
    seed: int, entity: int, text: str, published: float, length_s: float, contrast: float | None
) -> Reception:
    """How an upload will do.

    Args:
        seed: the world's.
        entity: a number of the video's own.
        text: its title in the first line, then whatever else says what it is about.
        published: hours since the world's start.
        length_s: its length in seconds.
        contrast: of its thumbnail, 0 to 1; None without one.
    """
    title = text.partition("\n")[0]
    ids = np.array([entity], dtype=np.int64)

    def draw(stream: str, median: float, sigma: float) -> float:
        return float(noise.lognormal(seed, stream, ids, median, sigma)[0])

    heat = interest(seed, text, published)
    clicks = draw("upload:clicks", *_CLICK_RATE) * title_appeal(title) * picture_appeal(contrast)
    watched = draw("upload:watched", *p.WATCHED_SHARE)
    return Reception(
        published=published,
        impressions=_IMPRESSIONS * heat**_INTEREST_EXPONENT,
        click_rate=min(clicks, 0.3),
        like_rate=min(draw("upload:likes", *p.LIKE_RATE), 0.3),
        comment_rate=min(draw("upload:comments", *p.COMMENT_RATE), 0.1),
        watched_share=min(
            watched * (max(length_s, 1.0) / _WATCHED_AT_S) ** _WATCHED_EXPONENT, 0.98
        ),
        subscribe_rate=draw("upload:subscribe", *p.SUBSCRIBE_RATE),
    )


def interest(seed: int, text: str, hours: float) -> float:
    """How hot what a text is about is at a time: 1 is the median topic at its peak.

    A topic counts whole where its subject and its angle are named, by half where only the subject.
    """
    words = " " + " ".join(re.findall(r"\w+", text.lower())) + " "

    def names(phrase: str) -> bool:
        return " " + " ".join(re.findall(r"\w+", phrase.lower())) + " " in words

    alive = topics.topics_alive(seed, int(hours // p.HOURS_PER_DAY))
    hot = topics.intensity(alive, topics.phase(seed, alive, "youtube", np.array([hours])))[0]
    niches = vocabulary().niches
    total = _INDIFFERENT
    for niche, subject, angle, heat in zip(
        alive.niche.tolist(), alive.subject.tolist(), alive.angle.tolist(), hot.tolist(),
        strict=True,
    ):  # fmt: skip
        if heat > 0 and names(niches[niche].subjects[subject]):
            total += heat * (1.0 if names(niches[niche].angles[angle]) else 0.5)
    return float(total)


def title_appeal(title: str) -> float:
    """How a title changes the rate of clicks; shouting and bad lengths cost, a number gains."""
    letters = [character for character in title if character.isalpha()]
    shouted = sum(character.isupper() for character in letters) > 0.5 * max(len(letters), 1)
    factor = 1.0 if len(title) in _GOOD_TITLE else 0.8
    factor *= 1.1 if re.search(r"\d", title) else 1.0
    return factor * (0.8 if shouted else 1.0)


def picture_appeal(contrast: float | None) -> float:
    """How a thumbnail changes it; a frame out of the video, which is shown without one, costs."""
    return 0.7 if contrast is None else 0.7 + 1.5 * min(max(contrast, 0.0), 0.3)

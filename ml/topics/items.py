"""What topics are made of: titles, tags and posts of every source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from ml.topics.junk import junk_by_rules
from ml.topics.labels import clean_title, embedding_text
from ml.topics.language import title_language
from ml.topics.space import Words

# A title of fewer words says too little by itself: the text below it helps.
_SHORT_TITLE_WORDS = 4
_TEXT_CHARS = 120
_TAGS = 15

# Half of the places for videos go to those declared English, which the content plan can use, half
# to the rest; posts of all other sources share as many as either, the sources among them taking
# turns. Places that one side does not need go to the others.
# A record is read by whatever title it has, so a new source needs no change here.
_ITEMS = """
    with videos as (
        select distinct on (video_id)
            'youtube' as source, video_id as content_id, title, channel_title as creator, language,
            tags, null as text, event_at, max(views) over video as interest,
            min(event_at) over video as first_at
        from staging.stg_youtube__video_observations
        where event_at > %(start)s and event_at <= %(as_of)s and available_at <= %(as_of)s
            and is_synthetic = %(synthetic)s
        window video as (partition by video_id)
        order by video_id, event_at desc, source, region
    ),
    posts as (
        select
            source, content_id,
            (array_agg(title order by event_at desc, title) filter (where title is not null))[1]
                as title,
            max(creator) as creator, max(language) as language, max(tags) as tags,
            max(text) as text, max(event_at) as event_at, max(interest) as interest,
            min(event_at) filter (where title is not null) as first_at
        from staging.stg_records__posts
        where event_at > %(start)s and event_at <= %(as_of)s and available_at <= %(as_of)s
            and is_synthetic = %(synthetic)s
        group by source, content_id
        having count(title) > 0
    ),
    ranked as (
        select *, row_number() over (
            partition by coalesce(language, '') like 'en%%'
            order by interest desc nulls last, content_id
        ) as place, 0 as queue
        from videos
        union all
        select source, content_id, title, creator, language, tags, text, event_at, interest,
            first_at, row_number() over (order by turn, source) as place, 1 as queue
        from (
            select *, row_number() over (
                partition by source order by interest desc nulls last, event_at desc, content_id
            ) as turn
            from posts
        ) as turns
    )
    select source, content_id, title, creator, language, tags, text, event_at, first_at
    from ranked
    order by place, queue, language nulls last, source, content_id
    limit %(max_items)s
"""


@dataclass(frozen=True)
class Member:
    """An item as its topic remembers it.

    Attributes:
        source: `youtube` for videos of any list, else the source's id.
        words: cleaned title and tags.
        first_at: when it was first seen.
    """

    source: str
    content_id: str
    words: Words
    language: str | None
    first_at: datetime

    @property
    def key(self) -> str:
        """Unique over all sources."""
        return f"{self.source}:{self.content_id}"

    @property
    def sentence(self) -> str:
        """What is embedded."""
        return embedding_text(self.words.title)


@dataclass(frozen=True)
class Item(Member):
    """An item of the days before `as_of`.

    Attributes:
        event_at: when it was last seen.
    """

    event_at: datetime


def read_items(
    conn: psycopg.Connection, as_of: datetime, days: int, max_items: int, *, synthetic: bool
) -> tuple[list[Item], Counter[str]]:
    """The most watched and most discussed items of the days before `as_of`, by key.

    Returns:
        The items, and how many were left out as junk, by reason.
    """
    bounds = {
        "as_of": as_of,
        "start": as_of - timedelta(days=days),
        "max_items": max_items,
        "synthetic": synthetic,
    }
    items: dict[str, Item] = {}
    junk: Counter[str] = Counter()
    for source, content_id, title, creator, language, tags, text, *seen in conn.execute(
        _ITEMS, bounds
    ):
        reason = junk_by_rules(title)
        if reason:
            junk[reason] += 1
            continue
        tags = clean_tags(tags)
        item = Item(
            source=source,
            content_id=content_id,
            words=Words(item_title(title, creator, text), tags),
            language=title_language(title, language, source, tags),
            event_at=seen[0],
            first_at=seen[1],
        )
        items.setdefault(item.key, item)
    return [items[key] for key in sorted(items)], junk


def item_title(title: str, creator: str | None, text: str | None) -> str:
    """The cleaned title; with the beginning of the text where it is short."""
    cleaned = clean_title(title, creator)
    if not text or len(cleaned.split()) >= _SHORT_TITLE_WORDS:
        return cleaned
    said = " ".join(text.split())
    if len(said) > _TEXT_CHARS:
        said = said[:_TEXT_CHARS].rsplit(" ", 1)[0]
    return f"{cleaned}: {said}"


def clean_tags(tags: Sequence[str] | None) -> tuple[str, ...]:
    """The first tags, in lower case, each once."""
    cleaned = (" ".join(tag.lower().replace("#", " ").split()) for tag in tags or ())
    return tuple(list(dict.fromkeys(tag for tag in cleaned if tag and tag != "[none]"))[:_TAGS])

"""X: the posts that match the configured queries, as the filtered stream sends them.

https://docs.x.com/x-api/posts/filtered-stream/introduction, .../quickstart and
.../integrate/matching-returned-tweets (read 2026-11): an object a line with the post in `data` and,
in `matching_rules`, the rules that it matches with their tags. The tag of a rule of ours is its
query (`ml.streaming.x`), so a post says which queries it belongs to; a rule that somebody else has
made for the same app may have no tag, and then it names no query.

A post has just been made when it comes: its public metrics are near 0, but those of a repost are
of the original. The stream alone brings posts; an interval of the past has nothing to ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ml.exceptions import RecordError
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import (
    Availability,
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    record,
)

FIELDS = "author_id,created_at,lang,public_metrics"
# What X calls a measure and what the other sources call it.
_METRICS = {
    "likes": "like_count", "reposts": "retweet_count", "comments": "reply_count",
    "quotes": "quote_count", "bookmarks": "bookmark_count", "views": "impression_count",
}  # fmt: skip


class XPostsSource(Source):
    """Yields a `post` record for each post; a page is what came within a few seconds."""

    spec = SourceSpec(
        id="x_posts",
        family="x",
        title="X: posts that match a query",
        docs=(
            "https://docs.x.com/x-api/posts/filtered-stream/introduction (2026-11)",
            "https://docs.x.com/x-api/fundamentals/rate-limits (2026-11)",
        ),
        kinds=("post",),
        base_url="https://api.x.com/2",
        credentials=("x_bearer_token",),
    )

    def availability(self) -> Availability:
        """Whether there is a token and a query."""
        if not self.settings.x_queries:
            return Availability(False, 'set X_QUERIES, for example ["AI"]')
        return super().availability()

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield nothing: `ml.streaming.x` listens."""
        return iter(())

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn lines into rows; blank ones keep the connection alive and say nothing."""
        lines = filter(None, map(bytes.strip, page.body.split(b"\n")))
        return fields.parse_each("post", lines, lambda line, _: [_post(line, page)], shown=_shown)


def _post(line: bytes, page: Page) -> Record:
    item = fields.mapping(fields.document(line), "line")
    post = fields.mapping(item.get("data"), "data")
    made_at = fields.moment(post, "created_at")
    if made_at is None:
        raise RecordError("created_at is absent")
    rules = fields.sequence(item.get("matching_rules", []), "matching_rules")
    tags = [fields.text(fields.mapping(rule, "rule"), "tag") for rule in rules]
    metrics = fields.mapping(post.get("public_metrics", {}), "public_metrics")
    payload = {
        "text": fields.required_text(post, "text"),
        "author": fields.text(post, "author_id"),
        "language": fields.text(post, "lang"),
        "queries": sorted({tag for tag in tags if tag}),
        **{name: fields.count(metrics, theirs) for name, theirs in _METRICS.items()},
    }
    return record(page, "post", fields.required_text(post, "id"), made_at, payload)


def _shown(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")

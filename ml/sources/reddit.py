"""Reddit: the hot, rising and new posts of the configured subreddits.

Listings of https://www.reddit.com/dev/api#listings (read 2026-11): 100 posts a page at most, the
next page is asked for by `after`, text is unescaped with `raw_json=1`. Application-only OAuth as on
https://github.com/reddit-archive/reddit/wiki/OAuth2#application-only-oauth. The free tier allows
100 queries a minute, averaged over 10 minutes, says in `X-Ratelimit-*` headers what is left, and
wants a user agent with a contact (Reddit Data API Wiki,
https://support.reddithelp.com/hc/en-us/articles/16160319875092, read 2026-11).

* Of each subreddit two pages of `hot`, one of `rising`, and pages of `new` back to the interval's
  start, three at most. What stands further down is left out on purpose.
* A listing knows only the present, so a snapshot is of the moment when its page arrived. A post in
  several listings at one moment is one snapshot, with the rank in the first of them.
* A post that was removed or deleted in the meantime is still an item, without the author and the
  text that Reddit no longer shows: the later row replaces the earlier one, and so forgets them.
* A hidden score is unknown, not 1. NSFW posts are marked, and a crosspost names its original.
* A subreddit that turns private, or never was, costs its own posts only: it is a dead letter.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from ml.exceptions import RateLimitedError, RecordError, SourceUnavailableError
from ml.settings import Settings
from ml.sources import fields
from ml.sources.access import Access
from ml.sources.base import (
    NOWHERE,
    Availability,
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    first_rank,
    new_page,
    record,
)
from ml.sources.http import Credentials, Fetched, HttpClient

PAGES = {"hot": 2, "rising": 1, "new": 3}
_PAGE_SIZE = 100
_LONGEST_PAUSE_S = 60.0  # a longer one is left to the scheduler
_LISTING = re.compile(r"/r/([\w+]+)/([a-z]+)[?#]")
_SITE = "https://www.reddit.com"
_CREDENTIALS = ("reddit_client_id", "reddit_client_secret")
_TO_CHECK = "REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET"
_GONE = ("[deleted]", "[removed]")


class RedditSource(Source):
    """Yields a `post` and a `snapshot` record for each listed post."""

    spec = SourceSpec(
        id="reddit",
        family="reddit",
        title="Reddit posts",
        docs=(
            "https://www.reddit.com/dev/api#listings (2026-11)",
            "https://support.reddithelp.com/hc/en-us/articles/16160319875092 (2026-11)",
        ),
        kinds=("post", "snapshot"),
        base_url="https://oauth.reddit.com",
        credentials=_CREDENTIALS,
        min_interval_s=0.6,  # 100 a minute
        params={"subreddits": "reddit_subreddits"},
    )

    def __init__(self, settings: Settings, *, pages: Mapping[str, int] | None = None) -> None:
        super().__init__(settings)
        self._pages = pages or PAGES

    def availability(self) -> Availability:
        """Whether there is an application and a subreddit."""
        if not self.settings.reddit_subreddits:
            return Availability(False, 'set REDDIT_SUBREDDITS, for example ["popular"]')
        return super().availability()

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the pages of all listings, and one that says why for each refused subreddit."""
        refusals: list[SourceUnavailableError] = []
        numbers = count()
        with access.client(self, credentials=self._sign_in(access)) as http:
            for subreddit in self.settings.reddit_subreddits:
                try:
                    for sort, pages in self._pages.items():
                        since = interval.start if sort == "new" else None
                        yield from _listing(http, f"r/{subreddit}/{sort}", pages, since, numbers)
                except SourceUnavailableError as error:
                    refusals.append(error)
                    yield _refused(subreddit, error, next(numbers), access)
        if len(refusals) == len(self.settings.reddit_subreddits):
            raise SourceUnavailableError(f"{refusals[0]}, and REDDIT_SUBREDDITS")

    def _sign_in(self, access: Access) -> Credentials:
        """A token for the application; it lasts a day and is kept nowhere."""
        client_id, secret = (self.settings.require_credential(name) for name in _CREDENTIALS)
        unsigned = Credentials(variable=_TO_CHECK)
        with access.client(self, base_url=_SITE, credentials=unsigned) as http:
            answered = http.post(
                "api/v1/access_token",
                form={"grant_type": "client_credentials"},
                basic=(client_id, secret),
            )
        token = json.loads(answered.body)
        if not isinstance(token, dict) or not isinstance(token.get("access_token"), str):
            raise SourceUnavailableError(f"reddit: it gives no token; check {_TO_CHECK}")
        return Credentials({"Authorization": f"bearer {token['access_token']}"}, variable=_TO_CHECK)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.records`; what does not parse becomes `Rejected`."""
        if page.stream == "refused":
            error = RecordError("refused: check REDDIT_SUBREDDITS")
            return iter([fields.rejected_body("subreddit", error, page.body)])
        first = first_rank(page)
        return fields.parse_items(
            page,
            "post",
            lambda body: _listed(body)[0],
            lambda child, position: _records(child, page, first + position),
        )


def _listing(
    http: HttpClient, path: str, pages: int, since: datetime | None, numbers: Iterator[int]
) -> Iterator[Page]:
    """The pages of one listing, the rank of the first post of each kept as a fragment."""
    params: dict[str, str | int] = {"limit": _PAGE_SIZE, "raw_json": 1}
    rank = 1
    for _ in range(pages):
        fetched = http.get(path, params)
        stream = path.rpartition("/")[2]
        yield new_page(stream, fetched, number=next(numbers), note=f"rank={rank}")
        _heed(fetched)
        listed, after, oldest = _outline(fetched.body)
        if after is None or (since is not None and oldest is not None and oldest < since):
            return
        params |= {"after": after, "count": rank - 1 + listed}
        rank += listed


def _heed(fetched: Fetched) -> None:
    """Wait where Reddit says that nothing is left of its window.

    Raises:
        RateLimitedError: if that would take long.
    """
    try:
        left = float(fetched.headers["x-ratelimit-remaining"])
        reset = float(fetched.headers["x-ratelimit-reset"])
    except (KeyError, ValueError):
        return
    if left >= 1.0:
        return
    if reset > _LONGEST_PAUSE_S:
        raise RateLimitedError(
            f"reddit: no query is left for {reset:g} s; retry later", retry_after_s=reset
        )
    time.sleep(reset)


def _refused(subreddit: str, error: SourceUnavailableError, number: int, access: Access) -> Page:
    body = json.dumps({"subreddit": subreddit, "reason": str(error)}).encode()
    now = access.at or datetime.now(UTC)
    return Page("refused", NOWHERE, number, body, f"GET r/{subreddit}", now)


def _listed(body: bytes) -> tuple[list[Any], str | None]:
    """What a listing lists, and after what its next page starts.

    Raises:
        RecordError: if it is no listing.
    """
    listing = fields.mapping(fields.document(body), "page")
    data = fields.mapping(listing.get("data"), "data")
    children = data.get("children")
    if not isinstance(children, list):
        raise RecordError("the page has no list of children")
    return children, fields.text(data, "after")


def _outline(body: bytes) -> tuple[int, str | None, datetime | None]:
    """Length, next page and time of the last post, as far as the body says them."""
    try:
        children, after = _listed(body)
    except RecordError:
        return 0, None, None
    try:
        last = fields.mapping(children[-1], "child") if children else {}
        return len(children), after, _created(fields.mapping(last.get("data"), "data"))
    except RecordError:
        return len(children), after, None


def _records(child: Any, page: Page, rank: int) -> Iterator[Record]:
    """The post and its snapshot.

    Raises:
        RecordError: naming the field that does not fit.
    """
    thing = fields.mapping(child, "child")
    if thing.get("kind") != "t3":
        raise RecordError(f"not a post: kind is {ascii(thing.get('kind'))[:20]}")
    post = fields.mapping(thing.get("data"), "data")
    number = fields.required_text(post, "id")
    created = _created(post)
    described, measured = _description(post), _measures(post, page, rank)
    yield record(page, "post", number, created, described)
    yield record(page, "snapshot", number, page.fetched_at, measured)


def _description(post: Mapping[str, Any]) -> dict[str, Any]:
    author, text = fields.text(post, "author"), fields.text(post, "selftext")
    removed = fields.text(post, "removed_by_category")
    if removed is None and (author in _GONE or text in _GONE):
        removed = (author if author in _GONE else text or "").strip("[]")
    return {
        "title": fields.required_text(post, "title"),
        "url": fields.text(post, "url"),
        "author": None if author in _GONE else author,
        "text": None if text in _GONE else text or None,
        "subreddit": fields.required_text(post, "subreddit"),
        "permalink": fields.text(post, "permalink"),
        "nsfw": fields.flag(post, "over_18"),
        "removed": removed,
        "crosspost_of": (fields.text(post, "crosspost_parent") or "").removeprefix("t3_") or None,
    }


def _measures(post: Mapping[str, Any], page: Page, rank: int) -> dict[str, Any]:
    hidden = fields.flag(post, "hide_score") or False
    upvotes = fields.count(post, "score")
    found = _LISTING.search(page.request)
    return {
        "rank": rank,
        "listing": f"{found[1]}/{found[2]}" if found else None,
        "upvotes": None if hidden else upvotes,
        "upvote_ratio": _ratio(post),
        "comments": fields.count(post, "num_comments"),
    }


def _created(post: Mapping[str, Any]) -> datetime:
    """Reddit writes the seconds since 1970 as 1768133179.0.

    Raises:
        RecordError: if they are absent or no such number.
    """
    value = post.get("created_utc")
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return fields.unix_moment({"created_utc": whole}, "created_utc")


def _ratio(post: Mapping[str, Any]) -> float | None:
    """Share of upvotes among all votes.

    Raises:
        RecordError: if it is no number from 0 to 1.
    """
    value = post.get("upvote_ratio")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RecordError(f"upvote_ratio is not a share: {ascii(value)[:60]}")
    return float(value)

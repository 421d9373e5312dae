"""Submissions as Reddit writes them; see `reddit_api` for where the shape is documented."""

from __future__ import annotations

from typing import Any

from ml.world import noise, posts
from ml.world import parameters as p
from ml.world.clock import moment
from ml.world.social import Subreddit, social, text
from ml.world.texts import share

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SELF_TEXT = "I have been following this for a while & would like to hear what you think."


def base36(number: int) -> str:
    """A number as Reddit writes ids."""
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"


def submissions(seed: int, shown: posts.Posts, hours: float) -> list[dict[str, Any]]:
    """The data of each post; a crosspost carries that of its original."""
    scores, comments = posts.scores(shown, hours)
    result = []
    for row in range(len(shown.ids)):
        data = _submission(seed, shown, row, hours)
        data |= _measures(seed, shown, row, hours, int(scores[row]), int(comments[row]))
        if number := int(shown.crosspost_of[row]):
            original = posts.find_post(seed, number, hours)
            if original is not None:
                data["crosspost_parent"] = f"t3_{base36(number)}"
                data["crosspost_parent_list"] = submissions(seed, original, hours)
        result.append(data)
    return result


def _measures(
    seed: int, shown: posts.Posts, row: int, hours: float, score: int, comments: int
) -> dict[str, Any]:
    age = hours - float(shown.created[row])
    hides = noise.pick(seed, "subreddit:hides", int(shown.subreddit[row]), 4) == 0
    hidden = hides and age < p.REDDIT_SCORE_HIDDEN_H
    return {
        "score": 1 if hidden else score,
        "ups": 1 if hidden else score,
        "downs": 0,
        "hide_score": hidden,
        "upvote_ratio": round(float(shown.upvote_ratio[row]), 2),
        "num_comments": comments,
        "num_crossposts": 0,
        "view_count": None,
    }


def _submission(seed: int, shown: posts.Posts, row: int, hours: float) -> dict[str, Any]:
    entity, number = int(shown.ids[row]), int(shown.number[row])
    subreddit = social().subreddits[int(shown.subreddit[row])]
    title = text("reddit", int(shown.wording[row]), int(shown.template[row]))
    slug = "_".join("".join(c if c.isalnum() else " " for c in title.lower()).split())[:50]
    permalink = f"/r/{subreddit.name}/comments/{base36(number)}/{slug}/"
    is_self = share(seed, "post:self", entity) < p.REDDIT_SELF
    created = moment(float(shown.created[row])).timestamp()
    author = noise.pick(seed, "post:author", entity, 80_000)
    site = int(share(seed, "post:site", entity) ** 3 * 400)
    link = f"https://site{site}.example/{slug.replace('_', '-')}?id={entity % 4096}&from=reddit"
    domain = f"self.{subreddit.name}" if is_self else f"site{site}.example"
    data: dict[str, Any] = {
        "id": base36(number),
        "name": f"t3_{base36(number)}",
        "title": title,
        "selftext": _SELF_TEXT if is_self else "",
        "selftext_html": None,
        "author": f"user_{author}",
        "author_fullname": f"t2_{base36(100_000 + author)}",
        "created": created,
        "created_utc": created,
        "permalink": permalink,
        "url": f"https://www.reddit.com{permalink}" if is_self else link,
        "domain": domain,
        "is_self": is_self,
        "over_18": share(seed, "post:nsfw", entity) < p.REDDIT_NSFW,
        "removed_by_category": None,
        "banned_by": None,
        "edited": False,
        "distinguished": None,
        "link_flair_text": None,
        "thumbnail": "self" if is_self else "default",
        "media": None,
        "likes": None,
    }
    data |= dict.fromkeys(
        ("stickied", "locked", "spoiler", "archived", "hidden", "is_video", "pinned"), False
    )
    return data | _community(subreddit) | _gone(shown, row, hours, is_self)


def _community(subreddit: Subreddit) -> dict[str, Any]:
    index = social().subreddits.index(subreddit)
    return {
        "subreddit": subreddit.name,
        "subreddit_name_prefixed": f"r/{subreddit.name}",
        "subreddit_id": f"t5_{base36(2_000_000 + index)}",
        "subreddit_type": "public",
        "subreddit_subscribers": subreddit.subscribers,
    }


def _gone(shown: posts.Posts, row: int, hours: float, is_self: bool) -> dict[str, Any]:
    """What is left of a post that was removed by moderators or deleted by its author."""
    if hours < shown.gone_at[row]:
        return {}
    deleted = shown.by_author[row] < p.REDDIT_GONE_BY_AUTHOR
    left: dict[str, Any] = {"removed_by_category": "deleted" if deleted else "moderator"}
    if is_self:
        left["selftext"] = "[deleted]" if deleted else "[removed]"
    if deleted:
        left |= {"author": "[deleted]", "author_fullname": None}
    return left

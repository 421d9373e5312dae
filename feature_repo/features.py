"""Feature views: each column with its type, unit, group and whether it may be missing.

The tag `nullable` is a contract: a missing value in a column that is not nullable raises when the
features are read (`ml.features`), and nothing is ever replaced by zero.
"""

from __future__ import annotations

from datetime import timedelta

from feast import FeatureView, Field  # noqa: TID253 - see entities.py
from feast.types import Bool, Float64, Int64, String  # noqa: TID253 - see entities.py

from feature_repo.entities import OWNER, channel, query, segment, story, topic, video
from feature_repo.sources import (
    channel_history_source,
    query_momentum_push,
    segment_interest_source,
    story_momentum_push,
    story_profile_source,
    topic_momentum_source,
    video_dynamics_source,
    video_momentum_source,
    video_profile_source,
    video_standing_source,
    video_text_source,
)

_TYPES = {"int": Int64, "real": Float64, "flag": Bool, "text": String}


def table(rows: str) -> list[Field]:
    """Fields from lines `name | type | group | unit | description`; `?` means nullable."""
    fields = []
    for line in rows.strip().splitlines():
        name, kind, group, unit, description = (cell.strip() for cell in line.split(" | "))
        nullable = kind.endswith("?")
        tags = {"group": group, "unit": unit, "nullable": str(nullable).lower()}
        dtype = _TYPES[kind.removesuffix("?")]
        fields.append(Field(name=name, dtype=dtype, description=description, tags=tags))
    return fields


_MOMENTUM = table(
    """
day_number | int | temporal | days | Days since the first observation
hours_since_first | real | temporal | hours | Since the first observation
hours_since_previous | real? | temporal | hours | Since the observation before; missing on the first
views | int | engagement | views | Views so far
likes | int? | engagement | likes | Missing when hidden
comments | int? | engagement | comments | Missing when hidden
log_views | real | engagement | ln views | Natural logarithm of the views
log_growth_1d | real? | engagement | ln ratio | Views against the observation before
views_per_hour | real? | engagement | views/hour | Since the observation before
like_rate | real? | engagement | ratio | Likes per view
comment_rate | real? | engagement | ratio | Comments per view
engagement_rate | real? | engagement | ratio | Likes and comments per view; missing under 100 views
like_growth_1d | real? | engagement | ln ratio | Likes against the observation before
comment_growth_1d | real? | engagement | ln ratio | Comments against the observation before
age_hours | real? | temporal | hours | Since publication
log_age_hours | real? | temporal | ln hours | Logarithm of the age
lifetime_views_per_hour | real? | engagement | views/hour | Since publication
regions_listed | int | engagement | regions | Charts that list it that day
regions_change_1d | int? | engagement | regions | Against the observation before
best_rank | int? | engagement | rank | Best chart position
rank_change_1d | int? | engagement | ranks | Against the observation before
observed_hour | int | temporal | UTC hour | Hour of the observation
observed_dow | int | temporal | weekday | Weekday of the observation
is_weekend | flag | temporal | flag | Observed on Saturday or Sunday
    """
)

_PROFILE = table(
    """
category_id | int? | channel | id | Category of the provider
language | text? | text | BCP 47 | As the uploader declared it
duration_s | real? | text | seconds | Length of the video
log_duration | real? | text | ln seconds | Logarithm of it
title_chars | int | text | characters | Length of the title
title_words | int | text | words | Words in the title
title_caps_share | real | text | share | Capitals among the letters
title_has_question | flag | text | flag | A question mark in the title
title_has_number | flag | text | flag | A digit in the title
title_emoji_count | int | text | characters | Emoji in the title
tag_count | int | text | tags | Number of tags
made_for_kids | flag? | channel | flag | As declared
published_hour | int? | temporal | UTC hour | Of publication
published_dow | int? | temporal | weekday | Of publication
channel_videos_before | int | channel | videos | Of the channel, seen earlier; at most 200
channel_median_log_views_before | real? | channel | ln views | Median of those first views
    """
)

_DYNAMICS = table(
    """
days_observed | int | temporal | days | Days on which it was seen, this one included
days_missed | int | temporal | days | Days since the first sight on which it was not seen
first_log_views | real | engagement | ln views | Logarithm of the views at first sight
growth_since_first | real | engagement | ln ratio | Views against those at first sight
growth_per_day | real? | engagement | ln ratio/day | The same by the days since
previous_log_growth_1d | real? | engagement | ln ratio | log_growth_1d of the observation before
growth_change_1d | real? | engagement | ln ratio | How much faster than the day before
log_views_gained | real? | engagement | ln views | Logarithm of the views gained by it
recent_to_lifetime | real? | engagement | ln ratio | Views an hour, of the last step against all
speed_change_1d | real? | engagement | ln ratio | Views an hour against the observation before
speed_to_fastest | real? | engagement | ln ratio | Views an hour against the fastest so far
power_exponent | real? | engagement | exponent | Power of the age that the views followed
first_log_speed | real? | engagement | ln views/hour | Since publication, at first sight
log_likes | real? | engagement | ln likes | Logarithm of the likes
log_comments | real? | engagement | ln comments | Logarithm of the comments
log_likes_per_comment | real? | engagement | ln ratio | Likes against comments
likes_per_hour | real? | engagement | likes/hour | Since the observation before
comments_per_hour | real? | engagement | comments/hour | Since the observation before
like_lead_1d | real? | engagement | ln ratio | Growth of the likes over growth of the views
comment_lead_1d | real? | engagement | ln ratio | Growth of the comments over growth of the views
like_growth_change_1d | real? | engagement | ln ratio | Growth of the likes against the day before
like_rate_change_1d | real? | engagement | ratio | like_rate against the observation before
comment_rate_change_1d | real? | engagement | ratio | comment_rate against the observation before
first_like_rate | real? | engagement | ratio | Likes per view at first sight
first_comment_rate | real? | engagement | ratio | Comments per view at first sight
like_rate_since_first | real? | engagement | ln ratio | like_rate against that at first sight
like_rate_of_gain | real? | engagement | ratio | New likes per new view
first_rank | int? | engagement | rank | Best chart position at first sight
first_regions | int | engagement | regions | Charts that listed it at first sight
rank_so_far | int? | engagement | rank | Best chart position so far
rank_mean | real? | engagement | rank | Mean of the best positions of the days
regions_most | int | engagement | regions | Most charts on one day so far
regions_mean | real | engagement | regions | Mean number of charts a day
rank_change_since_first | int? | engagement | ranks | Position against first sight, negative is up
rank_lost | int? | engagement | ranks | Position against the best one so far
regions_change_since_first | int | engagement | regions | Charts against first sight
regions_to_most | real | engagement | ln ratio | Charts against the most on one day
age_at_first_hours | real? | temporal | hours | Since publication at first sight
day_share | real | temporal | days | Time of day of the observation in UTC, 0 to 1
day_sine | real | temporal | sine | Of the time of day
day_cosine | real | temporal | cosine | Of the time of day
week_sine | real | temporal | sine | Of the weekday
week_cosine | real | temporal | cosine | Of the weekday
weekend_days_ahead | int | temporal | days | Saturdays and Sundays among the next two days
    """
)

_STANDING = table(
    """
standing_day | int? | temporal | days | The day_number that this is about
views_standing | real? | engagement | share | Share of the day's videos with fewer views
views_standing_in_category | real? | engagement | share | The same within its category
views_standing_of_age | real? | engagement | share | The same among videos of the same day of life
growth_standing | real? | engagement | share | Share of the day's videos that grew less
growth_standing_in_category | real? | engagement | share | The same within its category
growth_standing_of_age | real? | engagement | share | The same among videos of the same day of life
like_rate_standing | real? | engagement | share | Share of them with fewer likes per view
rank_standing_in_category | real? | engagement | share | Share of its category placed better
growth_to_category | real? | engagement | ln ratio | Its growth over its category's mean
day_growth | real? | temporal | ln ratio | Mean one-day growth of all videos that day
day_share_new | real? | temporal | share | Videos that were first seen that day
category_growth | real? | channel | ln ratio | Mean one-day growth in its category that day
category_growth_spread | real? | channel | ln ratio | Standard deviation of it
category_growth_to_week | real? | channel | ln ratio | That mean against the last 7 days'
category_share_new | real? | channel | share | Videos of the category that were first seen that day
category_second_day_growth | real? | channel | ln ratio | Mean growth of those on their second day
category_share | real? | channel | share | Its category's share of the day's videos
category_growth_48h | real? | channel | ln ratio | Its growth from 2nd to 4th day, in a week
category_persistence | real? | channel | ratio | That growth over the growth of the day before it
category_stay_share | real? | channel | share | Seen on the 4th day over the 2nd, in a week
language_growth | real? | text | ln ratio | Mean one-day growth of videos in its language that day
language_share | real? | text | share | Its language's share of the day's videos
channel_videos | int? | channel | videos | Other videos of the channel seen until the day before
channel_listed | int? | channel | videos | Videos of the channel seen that day, this one included
channel_days_since_new | int? | channel | days | Since a new video of the channel was seen
channel_days_listed | real? | channel | days | Mean days on the charts of its other videos
channel_outcomes | int? | channel | videos | Others whose growth from 2nd to 4th day is known
channel_growth_48h | real? | channel | ln ratio | Mean of that growth
channel_growth_48h_spread | real? | channel | ln ratio | Standard deviation of it
channel_growth_lead | real? | channel | ln ratio | That growth over the growth of the day before it
channel_growth_week | real? | channel | ln ratio | Mean growth of the others to the 8th day
channel_growth_1d | real? | channel | ln ratio | Mean one-day growth of its other videos
channel_like_rate | real? | channel | ratio | Mean likes per view of the others at first sight
views_to_channel_second_day | real? | channel | ln ratio | Against the others' mean on their 2nd day
channel_regions | real? | channel | regions | Mean charts a day of its other videos
channel_stay_share | real? | channel | share | Others seen on the 4th day over the 2nd
    """
)

_TEXT = table(
    """
title_is_official | flag | text | flag | The title says official
title_is_music | flag | text | flag | Music, clip, audio, lyrics or song in the title
title_is_trailer | flag | text | flag | Trailer, teaser or promo in the title
title_is_live | flag | text | flag | Live or stream in the title
title_is_joint | flag | text | flag | Feat, ft, x or with in the title
title_is_serial | flag | text | flag | Episode or part in the title
title_has_hashtag | flag | text | flag | A hash sign in the title
title_has_bar | flag | text | flag | A vertical bar in the title
title_has_brackets | flag | text | flag | Brackets in the title
title_has_dash | flag | text | flag | A dash between spaces in the title
title_exclamations | int | text | characters | Exclamation marks in the title
title_has_year | flag | text | flag | A year of this century in the title
title_latin_share | real | text | share | Basic Latin letters among the title's characters
title_cyrillic_share | real | text | share | Cyrillic ones
title_arabic_share | real | text | share | Arabic ones
title_indic_share | real | text | share | Characters of Indian scripts
title_east_asian_share | real | text | share | Chinese, Japanese and Korean ones
title_digit_share | real | text | share | Digits among the title's characters
title_word_length | real | text | characters | Mean length of the title's words
tag_length | real? | text | characters | Mean length of a tag; missing without tags
title_names_channel | flag? | channel | flag | It holds the first 8 letters of the channel's name
channel_is_label | flag? | channel | flag | Its name has vevo, official, records, music or topic
channel_title_chars | int? | channel | characters | Length of the channel's name
is_short | flag? | text | flag | At most 61 seconds long
is_long | flag? | text | flag | At least 20 minutes long
published_on_schedule | flag? | temporal | flag | Within 15 s of a full or half hour
published_day_share | real? | temporal | days | Time of day of publication in UTC, 0 to 1
published_on_weekend | flag? | temporal | flag | Published on a Saturday or Sunday in UTC
    """
)

_STORY = table(
    """
upvotes | int | engagement | upvotes | Upvotes so far
comments | int? | engagement | comments | Missing where none are possible
rank | int? | engagement | rank | Place on the front page; missing when not on it
log_upvotes | real | engagement | ln upvotes | Natural logarithm of the upvotes
comments_per_upvote | real? | engagement | ratio | Comments per upvote
age_h | real? | temporal | hours | Since submission; in archives, since the first sight
hours_since_previous | real? | temporal | hours | Since the sight compared with
upvotes_per_h | real? | engagement | upvotes/hour | Gained since the sight before
comments_per_h | real? | engagement | comments/hour | Gained since the sight before
observed_hour | int | temporal | UTC hour | Hour of the sight
observed_dow | int | temporal | weekday | Weekday of the sight
rank_before | int? | engagement | rank | Place at the sight compared with
best_rank | int? | engagement | rank | Best place of the last 26 hours
hours_since_entry | real? | temporal | hours | Since its first sight on the front page
entry_upvotes | int? | engagement | upvotes | Upvotes at that sight
entry_comments | int? | engagement | comments | Comments at that sight
entry_rank | int? | engagement | rank | Place at that sight
log_growth_since_entry | real? | engagement | ln ratio | Upvotes against those at that sight
upvotes_per_h_since_entry | real? | engagement | upvotes/hour | Missing in the first 5 minutes
rank_change_since_entry | int? | engagement | ranks | Place against that one, negative is up
    """
)

_STORY_PROFILE = table(
    """
overtaken_hours | real | temporal | hours | Since a story with as high an id came to the front page
age_by_id_hours | real? | temporal | hours | Ids behind the newest entry, by those of an hour
title_chars | int? | text | characters | Length of the title; missing where the item is
title_words | int? | text | words | Words in the title
title_is_question | flag? | text | flag | A question mark ends the title
title_has_number | flag? | text | flag | A digit in the title
title_has_year | flag? | text | flag | A year in brackets ends the title
title_names_medium | flag? | text | flag | The title says [pdf] or [video]
is_show | flag? | text | flag | It starts with Show HN
is_ask | flag? | text | flag | It starts with Ask HN or Tell HN
has_link | flag? | text | flag | It points at a page elsewhere
host_stories_before | int | channel | stories | Of its host, with outcomes known by then
host_mean_log_upvotes | real? | channel | ln upvotes | Mean of their most upvotes in 48 hours
host_reach_share | real? | channel | share | Of them that reached 100 upvotes
author_stories_before | int | channel | stories | The same of its author
author_mean_log_upvotes | real? | channel | ln upvotes | The same of its author
author_reach_share | real? | channel | share | The same of its author
    """
)

_QUERY = table(
    """
posts_1h | int | engagement | posts | Posts of the last hour that match it
posts_6h | int | engagement | posts | Of the last 6 hours
posts_24h | int | engagement | posts | Of the last 24 hours
authors_1h | int | channel | authors | Different authors in the last hour
authors_24h | int | channel | authors | Different authors in the last 24 hours
hours_covered | real | temporal | hours | Since the oldest post of the last 24 hours
log_growth_1h | real? | engagement | ln ratio | Of posts_1h, over the hour before; needs 2 h
log_growth_6h | real? | engagement | ln ratio | Of posts_6h, over the 6 hours before; needs 12 h
engagements_24h | int | engagement | engagements | Likes, reposts, replies, quotes on arrival
engagements_per_post_24h | real | engagement | ratio | Of those, per post
observed_hour | int | temporal | UTC hour | Hour of the newest arrival
observed_dow | int | temporal | weekday | Weekday of the newest arrival
    """
)

_TOPIC = table(
    """
items | int | engagement | items | Seen about it on the day, over all sources
items_new | int | engagement | items | Those that were seen for the first time
sources | int | engagement | sources | That showed one
views_gained | int? | engagement | views | Gained by its videos that were seen before
items_window | int | engagement | items | Sum of items over the last 3 days
items_window_before | int | engagement | items | The same of the 3 days before them
growth | real | engagement | ln ratio | items_window + 1 over items_window_before + 1
acceleration | real | engagement | ln ratio | That growth less the one of 3 days ago
views_growth | real? | engagement | ln ratio | Views gained in 3 days against the 3 before
age_days | int | temporal | days | Since it was first seen
items_so_far | int | engagement | items | Ever seen about it
novelty | real | engagement | share | Of items_so_far, first seen in the last 3 days
lead_hours | real? | channel | hours | From its first source to the second
youtube_lag_hours | real? | channel | hours | From elsewhere to YouTube; negative where it led
    """
)

_CHANNEL = table(
    """
videos_listed | int | engagement | videos | On any list that day
videos_new | int | engagement | videos | Those that were never seen before
log_views | real | engagement | ln views | Of those videos together
log_views_per_video | real | engagement | ln views | Of their mean
views_gained | int? | engagement | views | By those that were seen before
engagement_rate | real? | engagement | ratio | Likes and comments per view; missing under 100 views
best_rank | int? | engagement | rank | Best chart position of the day
most_regions | int? | engagement | regions | Charts that listed the same video
subscribers | int? | channel | subscribers | As the channel says; missing where it was not asked
days_since_listed | int? | temporal | days | Since the day before on which it was listed
days_since_first | int | temporal | days | Since it was first listed
days_listed | int | channel | days | On which it was listed so far
videos_so_far | int | channel | videos | Ever listed
days_listed_7d | int | channel | days | On which it was listed in the last 7
videos_new_7d | int | channel | videos | First listed in the last 7 days
views_gained_7d | int? | channel | views | Gained in the last 7 days
videos_listed_most | int | channel | videos | Most on one day so far
best_rank_so_far | int? | channel | rank | Best chart position so far
engagement_rate_mean | real? | channel | ratio | Mean of engagement_rate over its days
    """
)

_SEGMENT = table(
    """
topics | int | engagement | topics | Shown on the day
items | int | engagement | items | Shown on the day, by topic
items_new | int | engagement | items | Those that its country had not shown before
item_hours | int | engagement | hours | Sum over the items of the hours that showed them
new_share | real | engagement | share | Of the items, new ones
top_topic_share | real? | engagement | share | Of the places' weight, the strongest topic's
topic_entropy | real? | engagement | nats | Shannon's, of the places' weight over topics
views_gained | int? | engagement | views | By the videos, worldwide
likes_per_comment | real? | engagement | ratio | Of the videos, worldwide
days_since_seen | int? | temporal | days | Since the day before on which it was shown anything
days_seen | int | channel | days | On which it was shown anything so far
items_7d | int | engagement | items | Of the last 7 days
items_new_7d | int | engagement | items | New ones of the last 7 days
topics_mean_7d | real | engagement | topics | Mean of topics over its days of the last 7
topic_entropy_mean_7d | real? | engagement | nats | Mean of topic_entropy over them
    """
)

video_momentum = FeatureView(
    name="video_momentum",
    entities=[video],
    # A chart is observed daily. After two missed days the last movement says nothing about the
    # next 48 hours, so a row older than that is no feature at all.
    ttl=timedelta(days=3),
    schema=_MOMENTUM,
    source=video_momentum_source,
    description="How a video moves: the observation of a day against the one before",
    tags={"grain": "video and UTC day"},
    owner=OWNER,
)

video_profile = FeatureView(
    name="video_profile",
    entities=[video],
    # Title, length and the channel's past at first sight do not age: no limit.
    ttl=timedelta(0),
    schema=_PROFILE,
    source=video_profile_source,
    description="What a video is, and what its channel had done when it was first seen",
    tags={"grain": "video"},
    owner=OWNER,
)

video_dynamics = FeatureView(
    name="video_dynamics",
    entities=[video],
    # As video_momentum.
    ttl=timedelta(days=3),
    schema=_DYNAMICS,
    source=video_dynamics_source,
    description="How a video has moved since it was first seen",
    tags={"grain": "video and UTC day"},
    owner=OWNER,
)

video_standing = FeatureView(
    name="video_standing",
    entities=[video],
    # As video_momentum.
    ttl=timedelta(days=3),
    schema=_STANDING,
    source=video_standing_source,
    description="A video among the day's others, the tide, and its channel's other videos",
    tags={"grain": "video and UTC day"},
    owner=OWNER,
)

video_text = FeatureView(
    name="video_text",
    entities=[video],
    # What was said at first sight does not age: no limit.
    ttl=timedelta(0),
    schema=_TEXT,
    source=video_text_source,
    description="What title, tags, length and time of publication say",
    tags={"grain": "video"},
    owner=OWNER,
)

story_momentum = FeatureView(
    name="story_momentum",
    entities=[story],
    # Of the stories on the front page half leave it within 7 hours and 99.6 % within 36: a sight
    # that is older says nothing about now. A daily ingest still has its last day online.
    ttl=timedelta(hours=36),
    schema=_STORY,
    source=story_momentum_push,
    description="How a Hacker News story moves: a sight of it against one before",
    tags={"grain": "story and sight"},
    owner=OWNER,
)

story_profile = FeatureView(
    name="story_profile",
    entities=[story],
    # What was known at its entry does not age: no limit.
    ttl=timedelta(0),
    schema=_STORY_PROFILE,
    source=story_profile_source,
    description="What a story is, and what its host and author had come to before",
    tags={"grain": "story"},
    owner=OWNER,
)

query_momentum = FeatureView(
    name="query_momentum",
    entities=[query],
    # A query that nothing new matches has no new row: after an hour its counts are wrong.
    ttl=timedelta(hours=1),
    schema=_QUERY,
    source=query_momentum_push,
    description="How much is posted on X that matches a query",
    tags={"grain": "query and arrival of posts"},
    owner=OWNER,
)

topic_momentum = FeatureView(
    name="topic_momentum",
    entities=[topic],
    # The longest of its windows: a row that is older says nothing of the topic's movement.
    ttl=timedelta(days=3),
    schema=_TOPIC,
    source=topic_momentum_source,
    description="How much is seen about a topic, how that grows, and who had it first",
    tags={"grain": "topic and UTC day"},
    owner=OWNER,
)

channel_history = FeatureView(
    name="channel_history",
    entities=[channel],
    # A channel has a row on days on which it is listed only; its windows reach a week back.
    ttl=timedelta(days=7),
    schema=_CHANNEL,
    source=channel_history_source,
    description="What the lists show of a channel, and what it has been used to",
    tags={"grain": "channel and UTC day"},
    owner=OWNER,
)

segment_interest = FeatureView(
    name="segment_interest",
    entities=[segment],
    # As channel_history.
    ttl=timedelta(days=7),
    schema=_SEGMENT,
    source=segment_interest_source,
    description="What a viewer segment is shown: how much, how varied, how new",
    tags={"grain": "viewer segment and UTC day"},
    owner=OWNER,
)

"""Every number of the simulation, with where it comes from.

"Panel" and "country files" are the public archive of daily YouTube charts from 2025-12-10 to
2026-05-31 (sheb1lmsp/youtube-trending-analytics: one row per video and day over 106 countries,
and the 50-place lists of eight countries); "HN archive" is the public archive of front-page
snapshots from 2020-11 to 2022-03 (christian-fei/hn-history). What neither shows is marked
*assumption*.
"""

from __future__ import annotations

from datetime import UTC, datetime

WORLD_START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS_PER_DAY = 24

# --- Topics (assumptions: no archive shows when a topic was born) ---------------------------------
TOPICS_PER_DAY = 14
TOPIC_WINDOW_DAYS = 20  # older topics are dead
TOPIC_RISE_H = (30.0, 0.6)  # hours from birth to peak: median, sigma of the logarithm
TOPIC_HEAT_SIGMA = 0.9
# Hours from a topic's birth until a source takes it up: median, sigma. Hacker News leads, YouTube
# follows because a video has to be made.
SOURCE_LAG_H = {"hackernews": (3.0, 0.6), "youtube": (14.0, 0.6)}

# --- Channels ------------------------------------------------------------------------------------
CHANNELS = 3000
# Panel: the top 10 % of channels have 49 % of the videos. With rank = u ** 3.3 that share is
# 0.1 ** (1 / 3.3) = 0.498.
CHANNEL_CONCENTRATION = 3.3
SUBSCRIBERS = (180_000.0, 1.6)  # assumption: median and sigma of channels that reach a chart
SUBSCRIBER_GROWTH_PER_DAY = (0.0008, 1.0)  # assumption

# --- Videos --------------------------------------------------------------------------------------
VIDEOS_PER_DAY = 900  # those with a chance of a chart place, all regions together (assumption)
VIDEO_WINDOW_DAYS = 25  # country files: 90 % of listed videos are younger than 14 days everywhere
# Country files: share of listed videos by hour of publication, UTC 0 to 23.
PUBLISH_HOUR_SHARE = (
    0.034, 0.026, 0.020, 0.016, 0.024, 0.027, 0.017, 0.019, 0.027, 0.032, 0.051, 0.043,
    0.058, 0.071, 0.075, 0.074, 0.079, 0.068, 0.052, 0.042, 0.036, 0.035, 0.037, 0.038,
)  # fmt: skip
# ln(views at 24 h). Panel, ages 20 to 48 h: mean 11.4, sd 1.46; the country lists have 12 to 13.7.
VIEWS_24H_LN = 10.3
VIEWS_24H_SUBSCRIBER_EXPONENT = 0.35  # assumption
VIEWS_24H_HEAT_EXPONENT = 0.30  # assumption
VIEWS_24H_SIGMA = 1.15
# Growth: ln V(a) = const + ln(1 - exp(-a / start)) + beta ln(1 + a / 2 h) + second wave. Panel:
# d ln V / d ln a has median 0.43 (quartiles 0.24 and 0.75) from 24 to 120 h, is that of the same
# video the day before to a correlation of 0.91, and is steeper in the first 24 h (0.55 to 0.63).
GROWTH_BETA = (0.43, 0.80)
GROWTH_BETA_MAX = 1.7
GROWTH_PHASE = 0.35  # videos made before their topic peaks grow faster (assumption)
GROWTH_START_H = (5.0, 0.6)
SECOND_WAVE_SHARE = 0.25  # fits the wider spread of growth after day 5 in the panel
SECOND_WAVE_AFTER_H = (120.0, 0.6)
SECOND_WAVE_GAIN = (1.0, 0.7)
SECOND_WAVE_WIDTH_H = 14.0
# Panel: ln(likes / views) has mean -3.83, sd 1.07; ln(comments / views) mean -6.78, sd 1.67.
LIKE_RATE = (0.0217, 1.0)
COMMENT_RATE = (0.00114, 1.5)
LIKE_ELASTICITY = 0.97  # likes and comments come earlier in a video's life than views do
COMMENT_ELASTICITY = 0.92
# Panel and country files: likes hidden in 0.7 to 2.1 % of rows, comments in 5 to 7 %, no tags in
# 21 to 23 %; captions 18 %, licensed 88 %, titles in capitals 8.7 %.
LIKES_HIDDEN = 0.015
COMMENTS_HIDDEN = 0.06
TAGS_ABSENT = 0.22
CAPTIONS = 0.18
LICENSED = 0.885
CAPITALS = 0.07
LANGUAGE_ABSENT = 0.15  # assumption: the archive fills the language in
AUDIO_LANGUAGE_ABSENT = 0.05

# --- Charts --------------------------------------------------------------------------------------
CHART_SIZE = 200  # what the provider pages through; the archives keep the first 50
# A region's chart orders videos by ln(views at 24 h) + affinity + noise - age / fade, once they are
# older than a random delay. Fade and delay (hours) are fitted to the first 50 places of the country
# files: share of the list that was on it the day before, and median age, given in the comments.
CHART_NOISE = 0.5
CHART_DELAY_SIGMA = 0.5
CHART_FADE_SIGMA = 0.8  # a few videos stay for weeks: 90 % age quantiles of 60 to 326 h
#            share of channels, fade, delay   (overlap, median age in the country files)
REGIONS: dict[str, tuple[float, float, float]] = {
    "US": (0.34, 7.0, 3.5),  # 0.20, 13 h
    "GB": (0.14, 6.5, 4.5),  # 0.17, 13 h
    "IN": (0.17, 17.0, 15.0),  # 0.44, 37 h
    "AU": (0.08, 32.0, 11.0),  # 0.59, 42 h
    "IT": (0.07, 26.0, 11.0),  # 0.54, 38 h
    "PH": (0.08, 45.0, 26.0),  # 0.71, 77 h
    "NL": (0.06, 60.0, 20.0),  # 0.76, 83 h
    "NG": (0.06, 85.0, 20.0),  # 0.81, 109 h
}
# What a video loses on the chart of another region, in ln(views): little between neighbours in
# language, much otherwise, less with a wide reach. Country files: of the US list 43 % are on the
# British one, 28 % on the Australian, 4 % on the Indian, 6 % on the Philippine.
ENGLISH_GROUP = frozenset({"US", "GB", "AU"})
DISTANCE_ENGLISH = 0.0
DISTANCE_OTHER = 2.8
REACH_SIGMA = 0.8

# --- Hacker News ---------------------------------------------------------------------------------
STORIES_PER_DAY = 1000  # assumption; the archive shows the 90 a day that reach the front page
ITEMS_PER_DAY = 12_000  # ids a day, comments included
FIRST_ITEM_ID = 46_000_000
STORY_WINDOW_DAYS = 3
# HN archive: the most upvotes of a front-page story have ln mean 4.26, sd 1.20; the rest of the
# submissions stay at a handful (assumption).
FRONT_PAGE_SHARE = 0.10
FRONT_PAGE_SCORE = (70.0, 1.2)
OTHER_SCORE = (2.0, 0.6)
# HN archive: share of the final score 0.75, 3, 7.5 and 15 h after it is first seen: 0.23, 0.51,
# 0.78, 0.96; 1 - exp(-(a / 4.6) ** 0.8) gives 0.21, 0.51, 0.77, 0.92.
SCORE_GROWTH_H = 4.6
SCORE_GROWTH_SHAPE = 0.8
COMMENT_RATIO = (0.43, 0.78)  # HN archive: ln(comments / upvotes) has mean -0.84, sd 0.78
COMMENT_DELAY = 1.15  # comments follow votes (assumption)
ASK_WITHOUT_URL = "Ask HN"
TOP_STORIES = 500

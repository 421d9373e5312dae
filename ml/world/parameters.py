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
SOURCE_LAG_H = {
    "hackernews": (3.0, 0.6),
    "youtube": (14.0, 0.6),
    "x": (2.0, 0.7),
    "reddit": (5.0, 0.6),
    "tiktok": (10.0, 0.7),
    "wikipedia": (9.0, 0.6),
    "gdelt": (5.0, 0.6),
    # No assumption: with it first listings come 2 to 3 days after first stories, as they do in the
    # Hacker News and GitHub archives from 2020-11 to 2021-12.
    "github": (12.0, 0.7),
    "feeds": (6.0, 0.7),
    "google_trends": (7.0, 0.6),
}

# --- Channels ------------------------------------------------------------------------------------
CHANNELS = 3000
# Panel: the top 10 % of channels have 49 % of the videos. With rank = u ** 3.3 that share is
# 0.1 ** (1 / 3.3) = 0.498.
CHANNEL_CONCENTRATION = 3.3
SUBSCRIBERS = (180_000.0, 1.6)  # assumption: median and sigma of channels that reach a chart
SUBSCRIBER_GROWTH_PER_DAY = (0.0008, 1.0)  # assumption
SUBSCRIBERS_HIDDEN = 0.03  # assumption

# --- Videos --------------------------------------------------------------------------------------
VIDEOS_PER_DAY = 900  # those with a chance of a chart place, all regions together (assumption)
VIDEO_WINDOW_DAYS = 25  # country files: 90 % of listed videos are younger than 14 days everywhere
# Country files: share of listed videos by hour of publication, UTC 0 to 23.
PUBLISH_HOUR_SHARE = (
    0.034, 0.026, 0.020, 0.016, 0.024, 0.027, 0.017, 0.019, 0.027, 0.032, 0.051, 0.043,
    0.058, 0.071, 0.075, 0.074, 0.079, 0.068, 0.052, 0.042, 0.036, 0.035, 0.037, 0.038,
)  # fmt: skip
# ln(views at 24 h) of what may be listed. What is listed has, at ages of 20 to 48 h, a mean of 11.7
# to 13.4 and an sd of 1.2 to 2.0 in the country files; the panel, with all small countries, has a
# mean of 11.4 and an sd of 1.5.
VIEWS_24H_LN = 9.15
VIEWS_24H_SUBSCRIBER_EXPONENT = 0.35  # assumption
VIEWS_24H_HEAT_EXPONENT = 0.30  # assumption
VIEWS_24H_SIGMA = 1.8
VIEWS_24H_UNLISTED = 6.0  # a bigger world's other videos have e^6 fewer: none reaches a chart
# Growth: ln V(a) = const + ln(1 - exp(-a / start)) + beta ln(1 + a / 2 h) + second wave. Of the
# videos that the country files list on three days or more, d ln V / d ln a has a median of 0.78
# from 3 to 6 h of age, 0.66 to 0.61 up to 24 h, 0.48 up to 72 h, then 0.55, 0.63 (from 120 to
# 168 h) and 0.51 to 0.57 up to two weeks.
GROWTH_BETA = (0.32, 0.80)
GROWTH_BETA_MAX = 1.7
GROWTH_PHASE = 0.35  # videos made before their topic peaks grow faster (assumption)
GROWTH_START_H = (9.5, 0.6)
SECOND_WAVE_SHARE = 0.35  # fits the wider spread of growth around day 6 there
SECOND_WAVE_AFTER_H = (138.0, 0.3)
SECOND_WAVE_GAIN = (0.8, 0.6)
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
# A region's chart orders videos by ln(views at 24 h) + affinity + noise - hours on it / fade, where
# they come to it after a random delay, and what grows fast fades slowly.
CHART_FADE_SIGMA = 0.3
CHART_MOMENTUM = 0.45  # exponent of a video's growth in its fade
# Fitted to the first 50 places of the country files: the fade to the share of the list that was on
# it the day before, the delay and its sigma to the ages, the noise to the spread of ln(views).
#            share of channels, fade, delay, its sigma, noise   (overlap, median age in the files)
REGIONS: dict[str, tuple[float, float, float, float, float]] = {
    "US": (0.34, 12.0, 1.2, 2.2, 1.2),  # 0.20, 14 h
    "GB": (0.14, 9.2, 1.5, 2.2, 1.9),  # 0.17, 13 h
    "IN": (0.17, 28.0, 13.0, 0.7, 0.9),  # 0.44, 37 h
    "AU": (0.08, 49.0, 10.0, 0.7, 0.8),  # 0.59, 42 h
    "IT": (0.07, 27.0, 5.0, 1.8, 2.6),  # 0.54, 38 h
    "PH": (0.08, 66.0, 23.0, 0.35, 1.8),  # 0.71, 77 h
    "NL": (0.06, 56.0, 9.6, 1.4, 4.0),  # 0.76, 83 h
    "NG": (0.06, 74.0, 9.0, 1.9, 4.0),  # 0.81, 109 h
}
# What a video loses on the chart of another region, in ln(views), less with a wide reach; countries
# of one language also share the noise and the delay. Country files: of the US list 43 % are on the
# British one, 28 % on the Australian, 4 % on the Indian, 6 % on the Philippine.
ENGLISH_GROUP = frozenset({"US", "GB", "AU"})
DISTANCE_ENGLISH = 1.8
DISTANCE_OTHER = 2.4
REACH_SIGMA = 0.8
# How much more is made of topics of the niches that a shift favours (see `ml.world.shift`).
SHIFT_NICHE_GAIN = 30.0

# --- The own channel, as its analytics show it (assumptions, but for the delay) -------------------
OWN_CHANNEL_RANK = 20  # among the channels of the first niche: about one upload a day
OWN_WINDOW_DAYS = 60  # older videos are no longer watched
WATCHED_SHARE = (0.42, 0.35)  # of a video's length, by view
ENGAGED_SHARE = 0.82  # of views, the rest being plays that were scrolled past
SHARE_RATE = 0.004  # shares by view
SUBSCRIBE_RATE = (0.0025, 0.6)  # new subscribers by view
UNSUBSCRIBE_RATE = 0.0006
# Users report days that appear after two to three days (the documentation: "the most recent days"
# are missing).
ANALYTICS_DELAY_H = 48

# --- Hacker News ---------------------------------------------------------------------------------
STORIES_PER_DAY = 1000  # assumption; the archive shows the 90 a day that reach the front page
ITEMS_PER_DAY = 12_000  # ids a day, comments included
FIRST_ITEM_ID = 46_000_000
STORY_WINDOW_DAYS = 3
# HN archive, page by page: the most upvotes of a front-page story have median 79 and 90 % quantile
# 299; of that it has 0.25, 0.36, 0.49, 0.57, 0.68, 0.77, 0.85 and 0.91 (mean) 0.5, 1, 2, 3, 5, 7.5,
# 10 and 15 h after it is first seen. A score grows by 1 - exp(-(a / 9) ** 0.9).
FRONT_PAGE_SHARE = 0.095
FRONT_PAGE_SCORE = (137.0, 0.95)  # where no end comes before
OTHER_SCORE = (2.0, 0.6)  # the rest of the submissions stay at a handful (assumption)
SCORE_GROWTH_H = 9.0
SCORE_GROWTH_SHAPE = 0.9
# HN archive: stories are on the front page for 0.3, 2, 6.5, 13, 14.9 and 20 h (quantiles 0.1, 0.25,
# 0.5, 0.75, 0.9, 0.97): some are flagged early, and hardly one stays for more than 15 h.
FLAGGED_SHARE = 0.28
FLAGGED_AFTER_H = (2.5, 0.9)
FRONT_PAGE_END_H = (16.0, 0.14)
SUNK_WEIGHT = 0.05  # what is left of the rank of a story that is flagged or old
COMMENT_RATIO = (0.46, 0.78)  # HN archive: ln(comments / upvotes) has mean -0.84, sd 0.78
COMMENT_DELAY = 1.15  # comments follow votes (assumption)
ASK_WITHOUT_URL = "Ask HN"
TOP_STORIES = 500

# --- Reddit (assumptions: no archive at hand shows it) --------------------------------------------
REDDIT_POSTS_PER_DAY = 4000
REDDIT_WINDOW_DAYS = 3  # older posts are in no listing
REDDIT_SCORE = (9.0, 2.0)  # final score in a subreddit of a million: median, sigma
REDDIT_SCORE_SIZE = 0.35  # exponent of the subreddit's size
REDDIT_SCORE_HEAT = 0.5  # exponent of the topic's heat
REDDIT_GROWTH_H = 7.0  # share of the final score after a hours: 1 - exp(-(a / 7) ** 0.9)
REDDIT_GROWTH_SHAPE = 0.9
REDDIT_COMMENT_RATIO = (0.12, 0.9)
REDDIT_SELF = 0.3
REDDIT_NSFW = 0.006
REDDIT_CROSSPOST = 0.08  # share that would be one; half of them find no earlier post
REDDIT_GONE = 0.05  # share of posts that are removed, or deleted by their author
REDDIT_GONE_BY_AUTHOR = 0.35
REDDIT_GONE_AFTER_H = (3.0, 1.0)
REDDIT_GONE_LISTED_H = 0.75  # listings are cached: what is gone stays for a while, as a shell
REDDIT_SCORE_HIDDEN_H = 1.0  # some subreddits hide a new post's score

# --- X (assumptions) ------------------------------------------------------------------------------
X_POSTS_PER_DAY = 20_000
X_REPOSTS = 0.35
X_AUTHORS = 60_000
X_TREND_HOURS = 24  # a trend's count is that of the last 24 hours, as the provider says
X_TREND_WINDOW_H = 3  # what is talked about now, against the day before
X_TREND_COUNT_FROM = 60  # a smaller trend has no count
X_PLACE_SIGMA = 0.7  # how much the taste of a place differs

# --- TikTok (assumptions) -------------------------------------------------------------------------
TIKTOK_VIDEOS_PER_DAY = 3000
TIKTOK_VIEWS = (900.0, 2.1)
TIKTOK_VIEWS_HEAT = 0.6
TIKTOK_GROWTH_H = 20.0
TIKTOK_GROWTH_SHAPE = 0.75
TIKTOK_LIKE_RATE = (0.06, 0.6)
TIKTOK_COMMENT_RATE = (0.0016, 0.9)
TIKTOK_SHARE_RATE = (0.004, 1.0)
TIKTOK_DURATION_S = (24.0, 0.8)
TIKTOK_SPOKEN = 0.4  # share of videos whose speech was made into text
TIKTOK_UNTITLED = 0.05
TIKTOK_GONE = 0.04
TIKTOK_GONE_AFTER_H = (30.0, 1.0)

# --- Wikipedia -----------------------------------------------------------------------------------
# Assumptions but for their order of magnitude: the thousandth article of a day on the English
# Wikipedia is read about ten thousand times, the first a million times.
WIKIPEDIA_PROJECTS = {  # views relative to the English one
    "de.wikipedia": 0.12, "en.wikipedia": 1.0, "es.wikipedia": 0.13, "hi.wikipedia": 0.02,
}  # fmt: skip
ARTICLE_VIEWS_SUBJECT = (24_000.0, 1.0)  # a day, of an article on a subject: median, sigma
ARTICLE_VIEWS_OTHER = (9_000.0, 1.1)  # of one on an angle of it, or of a list
ARTICLE_VIEWS_TOPIC = 90_000.0  # a day at the peak of a topic of heat 1
ARTICLE_TOPIC_SHARES = (0.65, 0.35)  # of that: on the subject's article, on the angle's
ARTICLE_DAY_SIGMA = 0.15
ARTICLE_HOUR_SIGMA = 0.10
ARTICLE_PROJECT_SIGMA = 0.5  # how differently projects like an article
ARTICLE_HOUR_SWING = 0.3  # of the mean, highest at 18 h UTC
ARTICLE_DESKTOP = 0.35
ARTICLE_APP = 0.03  # the rest is the mobile site
META_VIEWS = {"Main_Page": 5.2e6, "Special:Search": 1.1e6, "Wikipedia:Featured_pictures": 6e4}
TOP_ARTICLES = 1000  # the provider's own end of the list
# "Within hours, up to a day" after the end of the day, and about an hour after that of the hour.
DAY_PUBLISHED_H = (6.0, 0.4)
HOUR_PUBLISHED_H = (0.9, 0.35)

# --- GDELT ---------------------------------------------------------------------------------------
NEWS_PER_DAY = 3000  # assumption; GDELT sees some hundred thousand
NEWS_SITES = 400
NEWS_CONCENTRATION = 2.0  # site = 400 u ** 2: a few sites write much (assumption)
# What the news write about, by niche (assumption).
NEWS_SHARE = {
    "news": 0.30, "sport": 0.19, "entertainment": 0.12, "technology": 0.11, "film": 0.07,
    "science": 0.06, "music": 0.06, "gaming": 0.04, "education": 0.03, "cooking": 0.02,
}  # fmt: skip
NEWS_INDEXED_H = (0.08, 0.45)  # hours from publication until it can be found: least, most

# --- GitHub --------------------------------------------------------------------------------------
# GitHub archive (ifyour/github-trending-archive, 2018-07 to 2021-12): 25 places a day; of a day's
# list 44 % (median; mean 49 %) are on that of the next, a repository is on 4.2 lists (median 2);
# 3 % have no description; the languages. Stars are assumptions.
TRENDING_SIZE = 25
REPOSITORIES_PER_DAY = 40
REPOSITORY_WINDOW_DAYS = 18
REPOSITORY_NEW = 0.4  # the others have been there for long and are found again
REPOSITORY_STARS_BEFORE = (2_500.0, 1.4)
REPOSITORY_STARS_GAINED = (700.0, 1.0)
REPOSITORY_RISE_H = (40.0, 0.7)  # gained(a) = gain (1 - exp(-(a / rise) ** 1.3))
REPOSITORY_RISE_SHAPE = 1.3
REPOSITORY_FORKS = (0.12, 0.6)  # of the stars
REPOSITORY_NO_DESCRIPTION = 0.03
REPOSITORY_LANGUAGES = {  # share of listings in that archive
    "JavaScript": 0.17, "Python": 0.16, "": 0.14, "C++": 0.076, "Go": 0.071, "Java": 0.058,
    "TypeScript": 0.058, "Jupyter Notebook": 0.035, "C": 0.030, "Rust": 0.028, "C#": 0.023,
    "HTML": 0.018, "Shell": 0.018, "Swift": 0.014, "Dart": 0.013, "PHP": 0.009, "CSS": 0.008,
    "Ruby": 0.008, "Vue": 0.007, "Kotlin": 0.005,
}  # fmt: skip

# --- Feeds (assumptions) -------------------------------------------------------------------------
FEED_ENTRIES_PER_DAY = 16
FEED_LENGTH = 30  # entries a feed shows: what is older has left it
FEED_WINDOW_DAYS = 3
FEED_CORRECTED = 0.08  # share of entries whose text is edited later, under the same id and date
FEED_CORRECTED_AFTER_H = (3.0, 0.8)

# --- Google Trends (assumptions, but for the length of the feed) ---------------------------------
TRENDS_LISTED = 10
TRENDS_LAST_H = 48.0  # a trend leaves the list after a day or two
TRENDS_SEARCHES = (4_000.0, 1.3)  # at the peak of a topic of median heat: median, sigma by region
TRENDS_STEPS = (100, 200, 500, 1_000, 2_000, 5_000)  # times 1, 10, 100, ... that the feed rounds to
TRENDS_EVERYDAY = (0.02, 1.0)  # interest in a term when nothing happens, beside a topic's peak of 1
TRENDS_SAMPLING = 0.03  # two requests differ by this: each counts another sample of the searches

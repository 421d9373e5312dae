"""Requests and answers of the API, with the fields and enumerations of the reference (8.1).

What a model cannot know is null, and `reasons` says why by field; it is never made up.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

# No control characters: they are in no name, and Postgres refuses some.
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=200)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=128)]
Score = Annotated[float, Field(ge=0, le=1)]
Reasons = Annotated[dict[str, str], Field(description="why a field is null, or what it is about")]

Source = Literal["youtube", "twitter", "reddit", "google_trends", "tiktok"]
Niche = Literal["gaming", "education", "entertainment", "technology", "lifestyle"]
Timeframe = Literal["24h", "48h", "7d", "30d"]
Action = Literal["create_immediately", "create_soon", "monitor", "skip"]


class Request(BaseModel):
    """A body that holds nothing but what is known, and nothing that Postgres cannot keep."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_no_nul(cls, value: Any) -> Any:
        if _has_nul(value):
            raise ValueError("a text has the character NUL (U+0000); leave it out")
        return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if not isinstance(value, list):
        return False
    # All texts of a list at once: a request of fifty features has as many.
    texts = [part for part in value if isinstance(part, str)]
    return "\0" in "".join(texts) or any(map(_has_nul, filter(_is_nested, value)))


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def shown(**fields: Any) -> ConfigDict:
    """The configuration of a request with an example."""
    example: JsonDict = {"example": fields}
    return ConfigDict(extra="forbid", json_schema_extra=example)


class ChannelContext(Request):
    """The channel that asks. No registered model takes it yet; the answer says so."""

    channel_id: Identifier | None = None
    subscriber_count: int | None = Field(None, ge=0, le=10**12)
    average_views: int | None = Field(None, ge=0, le=10**12)
    content_history: list[Identifier] = Field([], max_length=1000)


class TrendRequest(Request):
    """A topic to forecast, by its id, name or key phrase."""

    model_config = shown(
        topic="world cup final",
        niche="entertainment",
        data_sources=["youtube"],
        timeframe="48h",
        confidence_threshold=0.75,
    )

    topic: Name
    niche: Niche | None = None
    data_sources: list[Source] = Field(["youtube"], min_length=1, max_length=20)
    timeframe: Timeframe = "48h"
    channel_context: ChannelContext | None = None
    confidence_threshold: Score = 0.75


class EngagementForecast(BaseModel):
    """What the topic's videos will have gathered at the end of the timeframe."""

    views: int | None
    likes: int | None
    comments: int | None


class Signal(BaseModel):
    """A feature that moved the forecast.

    Attributes:
        strength: its share of all that moved it.
        volume: views of the topic's videos, which the features are about.
    """

    source: Source
    strength: Score
    volume: int
    feature: str
    raises: bool


class PredictionMetadata(BaseModel):
    """Where an answer comes from.

    Attributes:
        source: `online` features, or the last `batch` prediction where they are missing.
        as_of: event time of the oldest of the moving features, or of the batch.
    """

    model: str
    model_version: str
    inference_time_ms: float
    timestamp: datetime
    source: Literal["online", "batch"]
    as_of: datetime | None
    videos: int
    cached: bool = False
    reasons: Reasons = {}


class TrendPrediction(BaseModel):
    """The forecast of a topic, made of its videos on the charts.

    Attributes:
        trend_score: probability that its views grow more than usual within 48 h, mean over its
            videos by views.
        confidence: mean of the larger of p and 1 - p, likewise.
        viral_probability: of its video that is most likely to break out.
    """

    prediction_id: str
    trend_score: Score
    confidence: Score
    viral_probability: Score | None
    predicted_peak: datetime | None
    engagement_forecast: EngagementForecast
    recommended_action: Action
    supporting_signals: list[Signal]
    metadata: PredictionMetadata


class VideoRequest(Request):
    """Which video to score."""

    model_config = shown(video_id="dQw4w9WgXcQ")

    video_id: Identifier


class VideoPrediction(BaseModel):
    """The 48 h rising call for one video.

    Attributes:
        probability: calibrated, that its views grow more than `growth_threshold` within 48 h.
        growth_threshold: ln ratio of views that counts as rising; the training median.
    """

    prediction_id: str
    video_id: str
    probability: Score
    rising: bool
    growth_threshold: float
    model: str
    model_version: str
    source: Literal["online", "batch"]
    as_of: datetime | None


class FeatureRequest(Request):
    """A feature service by name, or features as `view:feature`, of some entities."""

    model_config = shown(
        features=["video_momentum:views", "video_momentum:log_growth_1d"],
        entities=["dQw4w9WgXcQ"],
    )

    features: list[Name] = Field(min_length=1, max_length=500)
    entities: list[Identifier] = Field(min_length=1, max_length=500)


class FeatureAnswer(BaseModel):
    """Features as they are stored: one row an entity, null where there is none.

    Attributes:
        entity: name of the key.
        values: a row per entity in the order of the request, a column per name.
        event_times: of each row, by view, null where the entity is not there.
    """

    entity: str
    names: list[str]
    values: list[list[Any]]
    event_times: list[dict[str, datetime | None]]


class QualityRequest(Request):
    """Texts to score: titles, comments or scripts."""

    model_config = shown(texts=["You won't BELIEVE what this cat did!!!"])

    texts: list[Annotated[str, StringConstraints(max_length=20_000)]] = Field(
        min_length=1, max_length=64
    )


class QualityScore(BaseModel):
    """Scores of one text.

    Attributes:
        readability: Flesch reading ease, a formula; null for texts too short for it.
        coherence: mean cosine of neighbouring sentences, a formula; likewise.
    """

    clickbait: Score
    spam: Score
    toxicity: Score
    readability: float | None
    coherence: float | None
    engagement: Score | None


class QualityAnswer(BaseModel):
    """Scores in the order of the texts."""

    prediction_id: str
    scores: list[QualityScore]
    model: str
    model_version: str
    reasons: Reasons = {}


class RecommendRequest(Request):
    """Segments as `country/niche/language`."""

    model_config = shown(segments=["US/gaming/en"], k=5)

    segments: list[
        Annotated[str, StringConstraints(pattern=r"^[^/\x00-\x1f]+/[^/\x00-\x1f]+/[^/\x00-\x1f]+$")]
    ] = Field(min_length=1, max_length=100)
    k: int = Field(10, ge=1, le=10)


class Recommendation(BaseModel):
    """A topic for a segment; `score` orders topics within one segment only."""

    topic_id: str
    rank: int
    score: float


class SegmentTopics(BaseModel):
    """Topics of one segment, best first.

    Attributes:
        source: the last `batch` of the champion, or `popularity` for a segment that it has never
            seen.
    """

    segment_id: str
    source: Literal["batch", "popularity"]
    as_of: datetime | None
    topics: list[Recommendation]


class RecommendAnswer(BaseModel):
    """Recommendations in the order of the segments."""

    segments: list[SegmentTopics]
    model: str
    model_version: str

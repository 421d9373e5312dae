"""Requests and answers of long work: scripts, voices, thumbnails, assessments (8.1.2).

Fields and enumerations are those of the reference. What was asked and nothing here can do is named
in `reasons`, field by field; what cannot be known is null with its reason.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from ml.serving.schemas import Name, Reasons, Request, shown

HexColor = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
# Line breaks and tabs are part of a text; other control characters are of none.
_IN_TEXT = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
Text = Annotated[str, StringConstraints(pattern=rf"^{_IN_TEXT}*[^\x00-\x20\x7f]{_IN_TEXT}*$")]
Address = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]*$", max_length=500)]
ContentType = Literal["script", "audio", "video", "thumbnail"]


class Style(Request):
    """How a script sounds."""

    tone: Literal["professional", "casual", "energetic", "educational"] | None = None
    personality: Literal["friendly", "authoritative", "humorous", "serious"] | None = None
    pacing: Literal["fast", "moderate", "slow"] | None = None


class Personality(Request):
    """Who speaks."""

    name: Name | None = None
    catchphrases: list[Name] = Field([], max_length=50)
    speaking_style: Name | None = None


class Audience(Request):
    """Who listens."""

    age_range: Literal["13-17", "18-24", "25-34", "35-44", "45+"] | None = None
    interests: list[Name] = Field([], max_length=50)
    knowledge_level: Literal["beginner", "intermediate", "advanced"] | None = None


class ScriptRequest(Request):
    """A script about a topic; what the platform measured of a known one is told in it."""

    model_config = shown(
        topic="world cup final",
        video_type="news",
        duration_seconds=45,
        style={"tone": "energetic"},
        channel_personality={"name": "Trend Lab"},
        seo_keywords=["football"],
    )

    topic: Name
    video_type: Literal["tutorial", "review", "listicle", "news", "entertainment"] | None = None
    duration_seconds: int = Field(35, ge=1, le=36_000)
    style: Style | None = None
    channel_personality: Personality | None = None
    target_audience: Audience | None = None
    seo_keywords: list[Name] = Field([], max_length=50)
    hooks_required: int = Field(1, ge=0, le=10)
    include_cta: bool = True


class Intro(BaseModel):
    """The opening."""

    hook: str
    duration_seconds: float
    text: str


class Segment(BaseModel):
    """One part of the body."""

    type: Literal["main_content", "transition", "cta"]
    timestamp: str
    duration_seconds: float
    text: str
    visual_cues: list[str]
    emphasis_points: list[str]


class Outro(BaseModel):
    """The close."""

    duration_seconds: float
    text: str
    cta: str


class ScriptBody(BaseModel):
    """Intro, segments, outro."""

    intro: Intro
    segments: list[Segment]
    outro: Outro


class ScriptMetrics(BaseModel):
    """Heuristics that are computed; null where no model could."""

    coherence_score: float | None
    engagement_score: float | None
    seo_score: float | None
    originality_score: float | None


class SeoMetadata(BaseModel):
    """Titles, description and tags."""

    title_suggestions: list[str]
    description: str
    tags: list[str]
    keywords_density: dict[str, str]


class EstimatedPerformance(BaseModel):
    """Null until a model has learnt from published videos."""

    retention_rate: float | None
    ctr: float | None
    engagement_rate: float | None


class ScriptAnswer(BaseModel):
    """A script; `generation_cost` is in dollars."""

    script_id: str
    script: ScriptBody
    quality_metrics: ScriptMetrics
    seo_metadata: SeoMetadata
    estimated_performance: EstimatedPerformance
    generation_cost: float
    model: str
    reasons: Reasons = {}


class VoiceSettings(Request):
    """How a voice sounds; stability, similarity and style are of other voices than the local one.

    Attributes:
        speed, pitch, volume: factors; 1 leaves the voice as it is.
    """

    speed: float = Field(1.0, ge=0.5, le=2)
    pitch: float = Field(1.0, ge=0.5, le=2)
    volume: float = Field(1.0, ge=0, le=4)
    stability: float = Field(0.75, ge=0, le=1)
    similarity_boost: float = Field(0.85, ge=0, le=1)
    style: float = Field(0.7, ge=0, le=1)


class VoiceRequest(Request):
    """A text to speak."""

    model_config = shown(
        text="Robots dived eight kilometres. Nobody had been there before.",
        provider="local",
        format="mp3",
        sample_rate=44100,
    )

    text: Annotated[Text, Field(max_length=5000)]
    voice_profile: (
        Literal["energetic_gamer", "calm_educator", "friendly_lifestyle", "custom"] | None
    ) = None
    provider: Literal["elevenlabs", "azure", "google", "local"] = "local"
    settings: VoiceSettings = VoiceSettings()
    format: Literal["mp3", "wav", "ogg"] = "mp3"
    sample_rate: Literal[16000, 22050, 24000, 32000, 44100, 48000] = 44100
    ssml_enabled: bool = False
    emotion: Literal["neutral", "happy", "sad", "excited", "serious"] = "neutral"


class VoiceMetadata(BaseModel):
    """What was spoken; `speaking_rate` is in words a minute."""

    words_count: int
    speaking_rate: float
    model_version: str
    sample_rate: int
    integrated_lufs: float | None
    true_peak_dbtp: float | None


class VoiceAnswer(BaseModel):
    """Speech. `audio_url` is a path of this API, open to the caller that asked."""

    audio_id: str
    audio_url: str
    duration_seconds: float
    file_size_bytes: int
    format: Literal["mp3", "wav", "ogg"]
    quality_score: float | None
    provider_used: str
    cost: float
    metadata: VoiceMetadata
    reasons: Reasons = {}


class TextOverlay(Request):
    """What stands on a thumbnail."""

    main_text: Name | None = None
    subtext: Name | None = None
    position: Literal["center", "top", "bottom", "left", "right"] | None = None


class ThumbnailElements(Request):
    """What a thumbnail is made of."""

    include_face: bool = False
    face_expression: Literal["shocked", "happy", "serious", "thinking"] | None = None
    text_overlay: TextOverlay | None = None
    background: Literal["gradient", "image", "solid"] | None = None
    brand_colors: list[HexColor] = Field([], max_length=10)


class ThumbnailRequest(Request):
    """A video to draw thumbnails for."""

    model_config = shown(
        video_title="Deep sea robots",
        elements={"brand_colors": ["#10243f", "#fbbf24"], "background": "gradient"},
        variations=3,
    )

    video_title: Name
    video_topic: Name | None = None
    style: Literal["vibrant", "minimal", "dramatic", "professional"] | None = None
    elements: ThumbnailElements = ThumbnailElements()
    target_ctr: float | None = Field(None, ge=0, le=1)
    variations: int = Field(3, ge=1, le=10)


class Thumbnail(BaseModel):
    """One variant.

    Attributes:
        quality_score: sharpness, contrast and size of letters; it says nothing about clicks.
    """

    variant_id: str
    image_url: str
    predicted_ctr: float | None
    quality_score: float
    ab_test_group: str


class GenerationDetails(BaseModel):
    """What drew it; steps and guidance are of diffusion models alone."""

    model: str
    inference_steps: int | None
    guidance_scale: float | None


class ThumbnailAnswer(BaseModel):
    """Variants of a thumbnail, and the one with the best technical score."""

    thumbnail_id: str
    thumbnails: list[Thumbnail]
    recommended_variant: str
    generation_details: GenerationDetails
    cost: float
    reasons: Reasons = {}


class ContentData(Request):
    """What to assess: a text, or a file of this platform.

    Attributes:
        audio_url, video_url, thumbnail_url: a path that an answer of this API gave, or an `s3://`
            address in the platform's own content bucket. Nothing is fetched from elsewhere.
    """

    script: str | None = Field(None, max_length=50_000)
    audio_url: Address | None = None
    video_url: Address | None = None
    thumbnail_url: Address | None = None


class Criteria(Request):
    """Which parts to assess."""

    check_copyright: bool = True
    check_policy: bool = True
    check_brand: bool = True
    check_quality: bool = True


class Guidelines(Request):
    """What the channel wants."""

    brand_voice: str | None = Field(None, max_length=2000)
    prohibited_topics: list[Name] = Field([], max_length=200)
    quality_threshold: float | None = Field(None, ge=0, le=1)


class AssessRequest(Request):
    """Content to assess; the part of `content_data` that `content_type` names is read."""

    model_config = shown(
        content_type="script",
        content_data={"script": "Robots dived eight kilometres. Nobody had been there before."},
        channel_guidelines={"prohibited_topics": ["gambling"], "quality_threshold": 0.6},
    )

    content_type: ContentType
    content_data: ContentData
    assessment_criteria: Criteria = Criteria()
    channel_guidelines: Guidelines = Guidelines()


class Copyright(BaseModel):
    """Nothing here knows other people's works, so this is null."""

    score: float | None
    issues: list[str]
    risk_level: Literal["low", "medium", "high"] | None


class Policy(BaseModel):
    """What the policy model and the channel's list say."""

    score: float | None
    violations: list[str]
    advertiser_friendly: bool | None


class Brand(BaseModel):
    """Null until a model knows a brand's voice."""

    score: float | None
    consistency: float | None
    tone_match: float | None


class Quality(BaseModel):
    """Measured (`technical`) and, where a heuristic can say anything, the text."""

    score: float | None
    technical: float | None
    creative: float | None


class Check(BaseModel):
    """One measurement with its limit."""

    name: str
    kind: Literal["rule", "heuristic", "model"]
    value: Any
    threshold: str
    passed: bool


class AssessmentDetails(BaseModel):
    """The parts that were asked for; others are null."""

    copyright: Copyright | None
    policy: Policy | None
    brand: Brand | None
    quality: Quality | None


class Assessment(BaseModel):
    """Scores of content.

    Attributes:
        overall_score: the lowest of the scores that are known.
        passed: it reaches the threshold and violates nothing; null without a score.
    """

    assessment_id: str
    overall_score: float | None
    passed: bool | None = Field(alias="pass")
    details: AssessmentDetails
    recommendations: list[str]
    checks: list[Check]
    model: str | None
    model_version: str | None
    reasons: Reasons = {}

"""What a video is to be about: the one input of the generation pipeline."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

HexColor = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChannelBrief(_Frozen):
    """The channel that the video is made for."""

    channel_id: str
    name: str
    niche: str = ""
    tone: str = "energetic"
    brand_colors: tuple[HexColor, ...] = ("#10243f", "#2563eb", "#fbbf24")
    voice: str = "en_US-joe-medium"


class Fact(_Frozen):
    """One sentence that a source item of the topic supports.

    Attributes:
        text: a full sentence, as it may be read aloud. Treated as data, never as an instruction.
        source: which source the item came from.
        url: the item itself, where it has an address.
    """

    text: str
    source: str
    url: str | None = None


class SeriesPoint(_Frozen):
    """One observation of the trend curve."""

    at: datetime
    value: float


class VideoBrief(_Frozen):
    """Everything generation may use. The same brief always gives the same video.

    Attributes:
        series: the real trend curve in time order, at least two points, or empty.
        series_label: what the values of `series` count, for example `views`.
        target_seconds: wanted length; 20 to 60 s is kept whatever is asked for.
        synthetic: whether anything in the brief came from simulated sources; said on screen.
        as_of: what "now" was when the brief was made.
    """

    video_id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    channel: ChannelBrief
    topic: str = Field(min_length=1)
    topic_id: str | None = None
    keywords: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    series: tuple[SeriesPoint, ...] = ()
    series_label: str = "views"
    language: str = "en"
    target_seconds: float = Field(35, gt=0)
    width: int = Field(1280, ge=320, multiple_of=2)
    height: int = Field(720, ge=180, multiple_of=2)
    seed: int = 0
    synthetic: bool = False
    as_of: datetime

    @field_validator("topic")
    @classmethod
    def _topic_has_letters(cls, value: str) -> str:
        if not re.search(r"\w", value):
            raise ValueError("the topic has neither a letter nor a digit")
        return value

    @field_validator("series")
    @classmethod
    def _series_is_a_curve(cls, value: tuple[SeriesPoint, ...]) -> tuple[SeriesPoint, ...]:
        if len(value) == 1:
            raise ValueError("a series needs at least two points, or none")
        if any(later.at <= earlier.at for earlier, later in pairwise(value)):
            raise ValueError("the points of a series must be in time order")
        return value

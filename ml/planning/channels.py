"""Our channels: configuration that becomes rows of `content.channels`."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.exceptions import ConfigurationError
from ml.generation.brief import ChannelBrief, HexColor

_DEFAULTS = Path(__file__).with_name("channels.yaml")


class ChannelConfig(BaseModel):
    """One channel.

    Attributes:
        videos_per_day: how many videos may be scheduled for one day.
        prohibited_topics: words of which none may stand in a topic.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel_id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")
    name: str = Field(min_length=1, max_length=60)
    niche: str = ""
    tone: str = "friendly"
    brand_colors: tuple[HexColor, ...] = ChannelBrief.model_fields["brand_colors"].default
    voice: str = ChannelBrief.model_fields["voice"].default
    language: str = "en"
    videos_per_day: int = Field(2, ge=1, le=50)
    prohibited_topics: tuple[str, ...] = ()

    def brief(self) -> ChannelBrief:
        """What generation needs to know of the channel."""
        return ChannelBrief(
            channel_id=self.channel_id,
            name=self.name,
            niche=self.niche,
            tone=self.tone,
            brand_colors=self.brand_colors,
            voice=self.voice,
        )


def read_channels(path: Path = _DEFAULTS) -> list[ChannelConfig]:
    """Read channels from YAML.

    Raises:
        ConfigurationError: naming the file and the wrong field.
    """
    try:
        rows = yaml.safe_load(path.read_text())["channels"]
        return [ChannelConfig.model_validate(row) for row in rows]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {where}: {first['msg']}") from error
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: not a list `channels:` of channels: {error}") from error


def ensure_default_channels(conn: psycopg.Connection) -> None:
    """Add the default channels where there is no channel at all."""
    if conn.execute("select 1 from content.channels limit 1").fetchone():
        return
    for channel in read_channels():
        conn.execute(
            "insert into content.channels (channel_id, config) values (%s, %s)"
            " on conflict do nothing",
            (channel.channel_id, json.dumps(channel.model_dump())),
        )


def active_channels(conn: psycopg.Connection) -> list[ChannelConfig]:
    """The channels that videos are planned for, in order of their ids."""
    rows = conn.execute(
        "select config from content.channels where is_active order by channel_id"
    ).fetchall()
    return [ChannelConfig.model_validate(row[0]) for row in rows]

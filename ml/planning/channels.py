"""Our channels: configuration that becomes rows of `content.channels`.

The YAML schema is documented in `channels.yaml` beside this file.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ml.exceptions import ConfigurationError
from ml.generation.brief import ChannelBrief, HexColor
from ml.storage.postgres import query

_DEFAULTS = Path(__file__).with_name("channels.yaml")
QUARANTINE = timedelta(hours=24)

Word = Annotated[str, Field(min_length=1)]


class Cadence(BaseModel):
    """How often a channel publishes.

    Attributes:
        videos_per_day: how many videos may be scheduled within 24 hours.
        hours_between: the least distance of two publications.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    videos_per_day: int = Field(2, ge=1, le=50)
    hours_between: float = Field(0, ge=0, le=168)


class ChannelConfig(BaseModel):
    """One channel; the fields are explained in `channels.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel_id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")
    name: str = Field(min_length=1, max_length=60)
    niche: str = Field("", max_length=200)
    niche_similarity: float = Field(0, ge=0, le=1)
    personality: str = Field("", max_length=200)
    tone: str = Field("friendly", max_length=40)
    brand_colors: tuple[HexColor, ...] = ChannelBrief.model_fields["brand_colors"].default
    voice: str = ChannelBrief.model_fields["voice"].default
    language: str = Field("en", pattern=r"^[a-z]{2}$")
    cadence: Cadence = Cadence()
    prohibited_topics: tuple[Word, ...] = ()
    daily_budget_usd: float = Field(5.0, ge=0)
    publisher: Literal["outbox", "youtube"] = "outbox"
    privacy: Literal["public", "unlisted", "private"] = "public"
    category_id: str = Field("24", pattern=r"^[0-9]{1,3}$")

    @field_validator("brand_colors")
    @classmethod
    def _three_colors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) != len(ChannelBrief.model_fields["brand_colors"].default):
            raise ValueError("give three colours: background, main and accent")
        return value

    def brief(self) -> ChannelBrief:
        """What generation needs to know of the channel."""
        return ChannelBrief(
            channel_id=self.channel_id,
            name=self.name,
            niche=self.niche,
            tone=", ".join(text for text in (self.tone, self.personality) if text),
            brand_colors=self.brand_colors,
            voice=self.voice,
        )


def read_channels(path: Path = _DEFAULTS) -> list[ChannelConfig]:
    """Read channels from YAML.

    Raises:
        ConfigurationError: naming the file and the wrong field.
    """
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))["channels"]
        channels = [ChannelConfig.model_validate(row) for row in rows]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {where}: {first['msg']}") from error
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: not a list `channels:` of channels: {error}") from error
    ids = [channel.channel_id for channel in channels]
    if twice := {each for each in ids if ids.count(each) > 1}:
        raise ConfigurationError(f"{path}: channel_id: {min(twice)} is there twice")
    return channels


def ensure_default_channels(conn: psycopg.Connection) -> None:
    """Add the default channels where there is no channel at all."""
    if not conn.execute("select 1 from content.channels limit 1").fetchone():
        put_channels(conn, read_channels())


def put_channels(conn: psycopg.Connection, channels: list[ChannelConfig]) -> None:
    """Add channels, or give those that are there this configuration; a paused one stays paused."""
    for channel in channels:
        conn.execute(
            "insert into content.channels (channel_id, config) values (%s, %s) on conflict"
            " (channel_id) do update set config = excluded.config, updated_at = now()",
            (channel.channel_id, channel.model_dump_json()),
        )


def list_channels(conn: psycopg.Connection) -> list[dict[str, Any]]:
    """Every channel with its configuration, whether it is active, and its quarantine."""
    return query(
        conn,
        "select channel_id, is_active, quarantined_until, quarantine_reason, config, updated_at"
        " from content.channels order by channel_id",
    )


def get_channel(conn: psycopg.Connection, channel_id: str) -> ChannelConfig:
    """One channel.

    Raises:
        ConfigurationError: if there is none of that id.
    """
    row = conn.execute(
        "select config from content.channels where channel_id = %s", (channel_id,)
    ).fetchone()
    if row is None:
        raise _unknown(conn, channel_id)
    return ChannelConfig.model_validate(row[0])


def set_active(conn: psycopg.Connection, channel_id: str, is_active: bool) -> None:
    """Pause a channel, or let it go on, which also ends a quarantine.

    Raises:
        ConfigurationError: if there is none of that id.
    """
    changed = conn.execute(
        "update content.channels set is_active = %(active)s, updated_at = now(),"
        " quarantined_until = case when %(active)s then null else quarantined_until end,"
        " quarantine_reason = case when %(active)s then null else quarantine_reason end"
        " where channel_id = %(id)s",
        {"active": is_active, "id": channel_id},
    ).rowcount
    if not changed:
        raise _unknown(conn, channel_id)


def quarantine(conn: psycopg.Connection, channel_id: str, now: datetime, reason: str) -> datetime:
    """Keep a channel from planning and publishing for 24 hours from `now`; gives the end."""
    until = now + QUARANTINE
    conn.execute(
        "update content.channels set quarantined_until = greatest(quarantined_until, %s),"
        " quarantine_reason = %s, updated_at = now() where channel_id = %s",
        (until, reason, channel_id),
    )
    return until


def closed_because(conn: psycopg.Connection, channel_id: str, now: datetime) -> str | None:
    """Why a channel may not publish now, or None if it may. A channel without a row may."""
    row = conn.execute(
        "select is_active, quarantined_until, quarantine_reason from content.channels"
        " where channel_id = %s",
        (channel_id,),
    ).fetchone()
    if row is None:
        return None
    if not row[0]:
        return f"channel {channel_id} is paused"
    if row[1] is not None and row[1] > now:
        return f"channel {channel_id} is in quarantine until {row[1].isoformat()}: {row[2]}"
    return None


def active_channels(conn: psycopg.Connection, now: datetime) -> list[ChannelConfig]:
    """The channels that videos are planned for, in order of their ids."""
    rows = conn.execute(
        "select config from content.channels where is_active"
        " and (quarantined_until is null or quarantined_until <= %s) order by channel_id",
        (now,),
    ).fetchall()
    return [ChannelConfig.model_validate(row[0]) for row in rows]


def _unknown(conn: psycopg.Connection, channel_id: str) -> ConfigurationError:
    known = [row[0] for row in conn.execute("select channel_id from content.channels order by 1")]
    return ConfigurationError(
        f"there is no channel {json.dumps(channel_id)}; there are: {', '.join(known) or 'none'}"
    )

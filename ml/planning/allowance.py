"""How many videos a channel may still have: cadence, budget and the quota of uploads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from ml.planning.channels import ChannelConfig
from ml.publishing.youtube_client import CAPTIONS, LIST, THUMBNAIL, UPLOADS
from ml.settings import Settings
from ml.sources.youtube_data import UNITS
from ml.storage.quotas import LedgerMeter

_DAY = timedelta(hours=24)
_UNITS_A_VIDEO = THUMBNAIL + CAPTIONS + 2 * LIST
_COUNTED = """
select count(*), count(*) filter (where as_of = %(now)s),
    count(*) filter (where status in ('scheduled', 'generating')), max(publish_at)
from content.video_schedule
where channel_id = %(channel_id)s and as_of > %(since)s and as_of <= %(now)s
    and status <> 'cancelled'
"""
_SPENT = """
select coalesce(sum(c.cost_usd), 0)
from ops.cost_ledger as c
inner join content.video_schedule as s using (video_id)
where s.channel_id = %(channel_id)s and s.as_of > %(since)s and s.as_of <= %(now)s
"""
_USUAL = """
select avg(cost_usd) from (
    select cost_usd from content.videos where channel_id = %s order by finished_at desc limit 20
) as made
"""


@dataclass(frozen=True)
class Allowance:
    """What a channel may plan now.

    Attributes:
        videos: how many.
        limit: what allows no more.
        cost_usd: a video's, as the last twenty cost; None before the first.
        first_at: when the first of them can be out.
        apart: the least distance of two.
    """

    videos: int
    limit: str
    cost_usd: float | None
    first_at: datetime
    apart: timedelta

    def publish_at(self, number: int) -> datetime:
        """When the video of that number, from 0, is to be out."""
        return self.first_at + number * self.apart


def allowance(
    conn: psycopg.Connection,
    channel: ChannelConfig,
    now: datetime,
    lead: timedelta,
    settings: Settings,
) -> Allowance:
    """What a channel may plan at a moment, when a video takes `lead` from the plan to the end."""
    about = {"channel_id": channel.channel_id, "now": now, "since": now - _DAY}
    planned, of_this_plan, waiting, last_at = conn.execute(_COUNTED, about).fetchone() or (
        0,
        0,
        0,
        None,
    )
    limits = {
        "the cadence": channel.cadence.videos_per_day - planned,
        "YTEMPIRE_VIDEOS_PER_PLAN": settings.videos_per_plan - of_this_plan,
    }
    usual = conn.execute(_USUAL, (channel.channel_id,)).fetchone()
    cost = float(usual[0]) if usual and usual[0] is not None else None
    if cost:
        spent = conn.execute(_SPENT, about).fetchone()
        left = channel.daily_budget_usd - float(spent[0] if spent else 0) - waiting * cost
        limits["the channel's budget"] = int(left / cost)
    if channel.publisher == "youtube":
        with LedgerMeter(settings) as meter:
            limits["the quota of uploads"] = meter.left(UPLOADS, None) - waiting
            limits["the quota of units"] = meter.left(UNITS, None) // _UNITS_A_VIDEO - waiting
    limit = min(limits, key=lambda name: limits[name])
    apart = timedelta(hours=channel.cadence.hours_between)
    first_at = max(now + lead, last_at + apart) if last_at is not None and apart else now + lead
    return Allowance(max(limits[limit], 0), limit, cost, first_at, apart)

"""How many videos a channel may still have: cadence, budget and the quota of uploads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from ml.planning.channels import ChannelConfig
from ml.publishing.youtube_client import CAPTIONS, LIST, THUMBNAIL, UPLOADS
from ml.settings import Settings
from ml.sources.youtube_data import UNITS
from ml.storage.postgres import query
from ml.storage.quotas import LedgerMeter

_DAY = timedelta(hours=24)
_UNITS_A_VIDEO = THUMBNAIL + CAPTIONS + 2 * LIST
_COUNTED = """
select count(*) filter (where as_of > %(since)s) as planned,
    count(*) filter (where as_of = %(now)s) as of_this_plan,
    count(*) filter (where as_of > %(since)s and status in ('scheduled', 'generating')) as waiting,
    max(publish_at) as last_at
from content.video_schedule
where channel_id = %(channel_id)s and as_of <= %(now)s and status <> 'cancelled'
"""
# All channels upload with one project, so one quota.
_UPLOADS_TO_COME = """
select count(*)
from content.video_schedule as s
inner join content.channels as c using (channel_id)
where c.config ->> 'publisher' = 'youtube' and s.status in ('scheduled', 'generating')
    and s.as_of <= %(now)s
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
    (counted,) = query(conn, _COUNTED, about)
    limits = {
        "the cadence": channel.cadence.videos_per_day - counted["planned"],
        "YTEMPIRE_VIDEOS_PER_PLAN": settings.videos_per_plan - counted["of_this_plan"],
    }
    usual = conn.execute(_USUAL, (channel.channel_id,)).fetchone()
    cost = float(usual[0]) if usual and usual[0] is not None else None
    if cost:
        spent = conn.execute(_SPENT, about).fetchone()
        left = channel.daily_budget_usd - float(spent[0] if spent else 0)
        left -= counted["waiting"] * cost
        limits["the channel's budget"] = int(left / cost)
    if channel.publisher == "youtube":
        to_come = query(conn, _UPLOADS_TO_COME, about)[0]["count"]
        with LedgerMeter(settings) as meter:
            limits["the quota of uploads"] = meter.left(UPLOADS, None) - to_come
            limits["the quota of units"] = meter.left(UNITS, None) // _UNITS_A_VIDEO - to_come
    limit = min(limits, key=lambda name: limits[name])
    apart = timedelta(hours=channel.cadence.hours_between)
    first_at, last_at = now + lead, counted["last_at"]
    if last_at is not None and apart:
        first_at = max(first_at, last_at + apart)
    return Allowance(max(limits[limit], 0), limit, cost, first_at, apart)

"""Features of Hacker News stories: one function for the batch and the stream, and their table."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

_TABLE = """
create table features.story_momentum (
    story_id text not null,
    event_at timestamptz not null,
    available_at timestamptz not null,
    is_synthetic boolean not null,
    upvotes bigint not null,
    comments bigint,
    rank integer,
    log_upvotes double precision not null,
    comments_per_upvote double precision,
    age_h double precision,
    hours_since_previous double precision,
    upvotes_per_h double precision,
    comments_per_h double precision,
    observed_hour integer not null,
    observed_dow integer not null,
    primary key (story_id, event_at)
);
comment on table features.story_momentum is
    'Features of a Hacker News story from a sight of it and one before. Append only: a row once written is never changed. Training joins must filter on available_at. One row per story and sight.';
comment on column features.story_momentum.event_at is 'When the sight was taken.';
comment on column features.story_momentum.available_at is 'When all that the row is made of could be known.';
comment on column features.story_momentum.rank is 'Place on the front page; null for a sight that was not of the places that are read.';
comment on column features.story_momentum.age_h is 'Hours since the story was submitted; in archives, since it was first seen on the front page.';
comment on column features.story_momentum.hours_since_previous is 'Hours since the newest sight that is 15 minutes to 26 hours older; null without any.';
comment on column features.story_momentum.upvotes_per_h is 'Upvotes gained per hour since then; may be negative.';
comment on column features.story_momentum.comments_per_h is 'Comments gained per hour since then.';
comment on column features.story_momentum.observed_dow is 'Day of the week in UTC, Monday is 0.';
create index story_momentum_by_time on features.story_momentum (event_at);
"""

# The one definition of these features. It is a single SELECT, so that the planner inlines it and
# picks indexes for the touched stories of a stream, and a sort of everything for a first build.
_FUNCTION = """
create function features.story_momentum_of(story_ids text[], since timestamptz)
returns setof features.story_momentum
language sql stable parallel safe
begin atomic
with created as (
    -- An archive and the live connector may both have the story: the earliest time counts.
    select record_id, min(event_at) as created_at
    from raw.records
    where source = 'hackernews' and kind = 'item' and region = 'ZZ'
        and (story_ids is null or record_id = any(story_ids))
    group by record_id
),
sights as (
    select
        record_id, event_at, available_at, is_synthetic,
        (payload ->> 'upvotes')::numeric::bigint as upvotes,
        (payload ->> 'comments')::numeric::bigint as comments,
        (payload ->> 'rank')::numeric::integer as rank
    from raw.records
    where source = 'hackernews' and kind = 'snapshot' and region = 'ZZ'
        and (story_ids is null or record_id = any(story_ids))
        and event_at >= since - interval '26 hours'
        and payload ->> 'upvotes' is not null
),
compared as (
    select
        *,
        last_value(event_at) over earlier as before_at,
        last_value(available_at) over earlier as before_available_at,
        last_value(upvotes) over earlier as upvotes_before,
        last_value(comments) over earlier as comments_before
    from sights
    -- Sights come every minute from the stream and every half hour, hour or day from batches: only
    -- over a quarter of an hour or more do their rates mean the same.
    window earlier as (
        partition by record_id order by event_at
        range between interval '26 hours' preceding and interval '15 minutes' preceding
    )
),
measured as (
    select
        compared.*,
        extract(epoch from event_at - created_at)::double precision / 3600 as age_h,
        extract(epoch from event_at - before_at)::double precision / 3600 as hours_before
    from compared
    left join created using (record_id)
    where event_at >= since
)
select
    record_id,
    event_at,
    greatest(available_at, before_available_at),
    is_synthetic,
    upvotes,
    comments,
    rank,
    ln(greatest(upvotes, 1)::double precision),
    comments / greatest(upvotes, 1)::double precision,
    case when age_h is not null then greatest(age_h, 0) end,
    hours_before,
    (upvotes - upvotes_before) / hours_before,
    (comments - comments_before) / hours_before,
    extract(hour from event_at at time zone 'UTC')::integer,
    (extract(isodow from event_at at time zone 'UTC') - 1)::integer
from measured;
end;
comment on function features.story_momentum_of(text[], timestamptz) is
    'Rows of features.story_momentum for the sights at or after `since` of some stories, of all of them if null. Batch and stream both append what it returns.';
"""


def upgrade() -> None:
    """Create the table and the function."""
    op.execute(_TABLE)
    op.execute(_FUNCTION)


def downgrade() -> None:
    """Drop both."""
    op.execute("drop function features.story_momentum_of(text[], timestamptz)")
    op.execute("drop table features.story_momentum")

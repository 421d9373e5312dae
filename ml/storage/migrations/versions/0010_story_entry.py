"""A story's sights against its first one on the front page, and against the best of the day.

The rows that are there are dropped, because they say nothing of that: the next build of features
appends them again, from the same raw rows and through the same function as always.
"""

from __future__ import annotations

from importlib import import_module

from alembic import op

revision = "0010"
down_revision = "0009"

_ADDED = """
drop function features.story_momentum_of(text[], timestamptz);
truncate features.story_momentum;
alter table features.story_momentum
    add column rank_before integer,
    add column best_rank integer,
    add column hours_since_entry double precision,
    add column entry_upvotes bigint,
    add column entry_comments bigint,
    add column entry_rank integer,
    add column log_growth_since_entry double precision,
    add column upvotes_per_h_since_entry double precision,
    add column rank_change_since_entry integer;
comment on column features.story_momentum.rank_before is 'Place at the sight compared with.';
comment on column features.story_momentum.best_rank is 'Best place of the last 26 hours.';
comment on column features.story_momentum.hours_since_entry is 'Hours since its first sight on the front page, which is places 1 to 30; null before that.';
comment on column features.story_momentum.log_growth_since_entry is 'Natural logarithm of the upvotes over those of that sight.';
comment on column features.story_momentum.upvotes_per_h_since_entry is 'Upvotes gained per hour since then; null within the first 5 minutes.';
comment on column features.story_momentum.rank_change_since_entry is 'Place now less the place then; negative is up.';
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
entries as (
    select distinct on (record_id)
        record_id, event_at as entry_at, available_at as entry_available_at,
        (payload ->> 'upvotes')::numeric::bigint as entry_upvotes,
        (payload ->> 'comments')::numeric::bigint as entry_comments,
        (payload ->> 'rank')::numeric::integer as entry_rank
    from raw.records
    where source = 'hackernews' and kind = 'snapshot' and region = 'ZZ'
        and (story_ids is null or record_id = any(story_ids))
        and payload ->> 'upvotes' is not null
        and (payload ->> 'rank')::numeric <= 30
    order by record_id, event_at
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
        last_value(upvotes) over earlier as upvotes_before,
        last_value(comments) over earlier as comments_before,
        last_value(rank) over earlier as rank_before,
        min(rank) over lately as best_rank,
        -- Whatever sight of the day a number is taken from was known by then.
        max(available_at) over lately as all_available_at
    from sights
    -- Sights come every minute from the stream and every half hour, hour or day from batches: only
    -- over a quarter of an hour or more do their rates mean the same.
    window
        lately as (
            partition by record_id order by event_at
            range between interval '26 hours' preceding and current row
        ),
        earlier as (
            partition by record_id order by event_at
            range between interval '26 hours' preceding and interval '15 minutes' preceding
        )
),
measured as (
    select
        compared.*,
        extract(epoch from event_at - created_at)::double precision / 3600 as age_h,
        extract(epoch from event_at - before_at)::double precision / 3600 as hours_before,
        extract(epoch from event_at - entry_at)::double precision / 3600 as hours_since_entry,
        entry_available_at,
        entry_upvotes,
        entry_comments,
        entry_rank
    from compared
    left join created using (record_id)
    left join entries on entries.record_id = compared.record_id and entry_at <= event_at
    where event_at >= since
)
select
    record_id,
    event_at,
    greatest(all_available_at, entry_available_at),
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
    (extract(isodow from event_at at time zone 'UTC') - 1)::integer,
    rank_before,
    best_rank,
    hours_since_entry,
    entry_upvotes,
    entry_comments,
    entry_rank,
    ln(greatest(upvotes, 1)::double precision / greatest(entry_upvotes, 1)),
    case
        when hours_since_entry >= 1 / 12.0 then (upvotes - entry_upvotes) / hours_since_entry
    end,
    rank - entry_rank
from measured;
end;
comment on function features.story_momentum_of(text[], timestamptz) is
    'Rows of features.story_momentum for the sights at or after `since` of some stories, of all of them if null. Batch and stream both append what it returns.';
"""

_REMOVED = """
drop function features.story_momentum_of(text[], timestamptz);
alter table features.story_momentum
    drop column rank_before,
    drop column best_rank,
    drop column hours_since_entry,
    drop column entry_upvotes,
    drop column entry_comments,
    drop column entry_rank,
    drop column log_growth_since_entry,
    drop column upvotes_per_h_since_entry,
    drop column rank_change_since_entry;
"""


def upgrade() -> None:
    """Add the columns, and a function that fills them too."""
    op.execute(_ADDED)
    op.execute(_FUNCTION)


def downgrade() -> None:
    """Go back to the function of the migration that made the table."""
    op.execute(_REMOVED)
    op.execute(import_module("ml.storage.migrations.versions.0004_streaming")._FUNCTION)

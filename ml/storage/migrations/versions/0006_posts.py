"""Features of queries on X: one function for the batch and the stream, and their table."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

_TABLE = """
create table features.query_momentum (
    query_id text not null,
    event_at timestamptz not null,
    available_at timestamptz not null,
    is_synthetic boolean not null,
    posts_1h bigint not null,
    posts_6h bigint not null,
    posts_24h bigint not null,
    authors_1h bigint not null,
    authors_24h bigint not null,
    hours_covered double precision not null,
    log_growth_1h double precision,
    log_growth_6h double precision,
    engagements_24h bigint not null,
    engagements_per_post_24h double precision not null,
    observed_hour integer not null,
    observed_dow integer not null,
    primary key (query_id, event_at)
);
comment on table features.query_momentum is
    'Features of a query on X from the posts that matched it in the last 24 hours. Append only: a row once written is never changed. Training joins must filter on available_at. One row per query and arrival of posts.';
comment on column features.query_momentum.query_id is 'The query, which is the tag of its rule.';
comment on column features.query_momentum.event_at is 'When the newest of the posts arrived; a quiet query has no row of its quiet.';
comment on column features.query_momentum.available_at is 'When all that the row is made of could be known: the same time.';
comment on column features.query_momentum.posts_1h is 'Posts made in the hour before.';
comment on column features.query_momentum.authors_1h is 'Different authors of those.';
comment on column features.query_momentum.hours_covered is 'Hours since the oldest of the posts was made.';
comment on column features.query_momentum.log_growth_1h is 'ln((posts of the last hour + 1) / (posts of the hour before it + 1)); null where less than 2 hours are covered.';
comment on column features.query_momentum.log_growth_6h is 'The same of 6 hours; null where less than 12 hours are covered.';
comment on column features.query_momentum.engagements_24h is 'Likes, reposts, replies and quotes that the posts had when they arrived; of a repost those of its original.';
comment on column features.query_momentum.observed_dow is 'Day of the week in UTC, Monday is 0.';
create index query_momentum_by_time on features.query_momentum (event_at);
create index x_posts_by_time on raw.records (event_at) where source = 'x_posts';
"""

# The one definition of these features. A row stands for a moment at which posts arrived and counts
# what could be known then, so it comes out the same however much later it is computed.
_FUNCTION = """
create function features.query_momentum_of(query_ids text[], since timestamptz)
returns setof features.query_momentum
language sql stable parallel safe
begin atomic
with posts as (
    select
        matched.query,
        event_at,
        available_at,
        is_synthetic,
        payload ->> 'author' as author,
        coalesce((payload ->> 'likes')::numeric, 0) + coalesce((payload ->> 'reposts')::numeric, 0)
            + coalesce((payload ->> 'comments')::numeric, 0)
            + coalesce((payload ->> 'quotes')::numeric, 0) as engagements
    from raw.records
    cross join lateral jsonb_array_elements_text(payload -> 'queries') as matched (query)
    where source = 'x_posts' and kind = 'post' and region = 'ZZ'
        and event_at > since - interval '24 hours'
        and (query_ids is null or matched.query = any(query_ids))
),
moments as (
    select distinct query, available_at as moment
    from posts
    where available_at >= since
),
counted as (
    select
        moments.query,
        moment,
        bool_or(is_synthetic) as is_synthetic,
        count(*) filter (where event_at > moment - interval '1 hour') as posts_1h,
        count(*) filter (
            where event_at > moment - interval '2 hours' and event_at <= moment - interval '1 hour'
        ) as posts_1h_before,
        count(*) filter (where event_at > moment - interval '6 hours') as posts_6h,
        count(*) filter (
            where event_at > moment - interval '12 hours' and event_at <= moment - interval '6 hours'
        ) as posts_6h_before,
        count(*) as posts_24h,
        count(distinct author) filter (where event_at > moment - interval '1 hour') as authors_1h,
        count(distinct author) as authors_24h,
        sum(engagements)::bigint as engagements_24h,
        extract(epoch from moment - min(event_at))::double precision / 3600 as hours_covered
    from moments
    join posts on posts.query = moments.query
        and posts.available_at <= moment
        and posts.event_at > moment - interval '24 hours'
    group by moments.query, moment
)
select
    query,
    moment,
    moment,
    is_synthetic,
    posts_1h,
    posts_6h,
    posts_24h,
    authors_1h,
    authors_24h,
    hours_covered,
    case
        when hours_covered >= 2
            then ln((posts_1h + 1)::double precision / (posts_1h_before + 1))
    end,
    case
        when hours_covered >= 12
            then ln((posts_6h + 1)::double precision / (posts_6h_before + 1))
    end,
    engagements_24h,
    engagements_24h / posts_24h::double precision,
    extract(hour from moment at time zone 'UTC')::integer,
    (extract(isodow from moment at time zone 'UTC') - 1)::integer
from counted;
end;
comment on function features.query_momentum_of(text[], timestamptz) is
    'Rows of features.query_momentum for the arrivals at or after `since` of some queries, of all of them if null. Batch and stream both append what it returns.';
"""


def upgrade() -> None:
    """Create the table and the function."""
    op.execute(_TABLE)
    op.execute(_FUNCTION)


def downgrade() -> None:
    """Drop both."""
    op.execute("drop function features.query_momentum_of(text[], timestamptz)")
    op.execute("drop table features.query_momentum")
    op.execute("drop index raw.x_posts_by_time")

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='fail',
    indexes=[
        {'columns': ['channel_id', 'event_at'], 'unique': true},
        {'columns': ['event_at']},
        {'columns': ['available_at']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

channel_days as (

    select
        *,
        (observed_date + 1)::timestamp at time zone 'UTC' as day_end
    from {{ published('mart_channel_performance') }}
    where is_complete_day

),

windowed as (

    select
        *,
        observed_date - lag(observed_date) over so_far as days_since_listed,
        observed_date - min(observed_date) over so_far as days_since_first,
        count(*) over so_far as days_listed,
        sum(videos_new) over so_far as videos_so_far,
        count(*) over this_week as days_listed_7d,
        sum(videos_new) over this_week as videos_new_7d,
        sum(views_gained) over this_week as views_gained_7d,
        max(videos_listed) over so_far as videos_listed_most,
        min(best_rank) over so_far as best_rank_so_far,
        avg(engagement_rate) over so_far as engagement_rate_mean,
        max(available_at) over so_far as known_at
    from channel_days
    window
        so_far as (partition by channel_key order by observed_date),
        this_week as (
            partition by channel_key order by observed_date
            range between interval '6 days' preceding and current row
        )

),

features as (

    select
        channel_key as channel_id,
        day_end as event_at,
        -- That nothing more came in on the day is known when it is over.
        greatest(known_at, day_end) as available_at,
        is_synthetic,
        videos_listed,
        videos_new,
        ln(greatest(views, 1)::double precision) as log_views,
        ln(greatest(views_per_video, 1)) as log_views_per_video,
        views_gained,
        engagement_rate,
        best_rank,
        most_regions,
        subscribers,
        days_since_listed,
        days_since_first,
        days_listed::integer as days_listed,
        videos_so_far::integer as videos_so_far,
        days_listed_7d::integer as days_listed_7d,
        videos_new_7d::integer as videos_new_7d,
        views_gained_7d::bigint as views_gained_7d,
        videos_listed_most,
        best_rank_so_far,
        engagement_rate_mean
    from windowed

)

select features.*
from features
{% if is_incremental() %}
    -- Append only, and one row a day: what was known when the day was first built stays as it was.
    where not exists (
        select 1
        from {{ this }} as written
        where features.channel_id = written.channel_id and features.event_at = written.event_at
    )
{% endif %}

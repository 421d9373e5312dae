{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='fail',
    indexes=[
        {'columns': ['segment_id', 'event_at'], 'unique': true},
        {'columns': ['event_at']},
        {'columns': ['available_at']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

topic_days as (

    select
        *,
        place_weight / sum(place_weight) over (partition by segment_id, observed_date)
            as share
    from {{ published('fct_segment_topic_engagement') }}
    where is_complete_day

),

segment_days as (

    select
        segment_id,
        observed_date,
        (observed_date + 1)::timestamp at time zone 'UTC' as day_end,
        bool_and(is_synthetic) as is_synthetic,
        count(*) as topics,
        sum(items) as items,
        sum(items_new) as items_new,
        sum(item_hours) as item_hours,
        max(share) as top_topic_share,
        -- Shannon's entropy: the logarithm of how many equal topics would be as varied.
        sum(share * ln(1 / share)) as topic_entropy,
        sum(views_gained_worldwide) as views_gained,
        sum(likes_worldwide) as likes,
        sum(comments_worldwide) as comments,
        max(available_at) as available_at
    from topic_days
    group by segment_id, observed_date

),

windowed as (

    select
        *,
        observed_date - lag(observed_date) over so_far as days_since_seen,
        count(*) over so_far as days_seen,
        sum(items) over this_week as items_7d,
        sum(items_new) over this_week as items_new_7d,
        avg(topics) over this_week as topics_mean_7d,
        avg(topic_entropy) over this_week as topic_entropy_mean_7d,
        max(available_at) over so_far as known_at
    from segment_days
    window
        so_far as (partition by segment_id order by observed_date),
        this_week as (
            partition by segment_id order by observed_date
            range between interval '6 days' preceding and current row
        )

),

features as (

    select
        segment_id,
        day_end as event_at,
        -- That nothing more came in on the day is known when it is over.
        greatest(known_at, day_end) as available_at,
        is_synthetic,
        topics::integer as topics,
        items::integer as items,
        items_new::integer as items_new,
        item_hours::integer as item_hours,
        items_new::double precision / items as new_share,
        top_topic_share,
        topic_entropy,
        views_gained::bigint as views_gained,
        case when comments > 0 then (likes / comments)::double precision end as likes_per_comment,
        days_since_seen,
        days_seen::integer as days_seen,
        items_7d::integer as items_7d,
        items_new_7d::integer as items_new_7d,
        topics_mean_7d::double precision as topics_mean_7d,
        topic_entropy_mean_7d
    from windowed

)

select features.*
from features
{% if is_incremental() %}
    -- Append only, and one row a day: what was known when the day was first built stays as it was.
    where not exists (
        select 1
        from {{ this }} as written
        where features.segment_id = written.segment_id and features.event_at = written.event_at
    )
{% endif %}

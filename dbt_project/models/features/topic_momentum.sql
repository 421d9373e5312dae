{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='fail',
    indexes=[
        {'columns': ['topic_id', 'event_at'], 'unique': true},
        {'columns': ['event_at']},
        {'columns': ['available_at']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

topic_days as (

    select
        *,
        (observed_date + 1)::timestamp at time zone 'UTC' as day_end
    from {{ published('fct_topic_momentum') }}
    where is_complete_day

),

features as (

    select
        topic_id,
        day_end as event_at,
        -- That nothing more came in on the day is known when it is over.
        greatest(available_at, day_end) as available_at,
        is_synthetic,
        items,
        items_new,
        sources,
        views_gained,
        items_window,
        items_window_before,
        growth,
        acceleration,
        views_growth,
        age_days,
        items_so_far,
        novelty,
        lead_hours,
        youtube_lag_hours
    from topic_days

)

select features.*
from features
{% if is_incremental() %}
    -- Append only, and one row a day: what was known when the day was first built stays as it was.
    where not exists (
        select 1
        from {{ this }} as written
        where features.topic_id = written.topic_id and features.event_at = written.event_at
    )
{% endif %}

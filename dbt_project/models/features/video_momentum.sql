{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='fail',
    indexes=[
        {'columns': ['video_id', 'event_at'], 'unique': true},
        {'columns': ['event_at']},
        {'columns': ['available_at']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

momentum as (

    select * from {{ ref('int_video_momentum') }}

),

unwritten as (

    select momentum.*
    from momentum
    {% if is_incremental() %}
        -- Append only, and one row a day: what was known when the day was first built stays as it
        -- was, even when a later sight of the day or a late row comes in.
        where not exists (
            select 1
            from {{ this }} as written
            where
                momentum.video_id = written.video_id
                and momentum.observed_date = (written.event_at at time zone 'UTC')::date
        )
    {% endif %}

),

features as (

    select
        video_id,
        event_at,
        available_at,
        is_synthetic,
        day_number,
        hours_since_first,
        hours_since_previous,
        views,
        likes,
        comments,
        log_views,
        log_growth_1d,
        views_per_hour,
        like_rate,
        comment_rate,
        engagement_rate,
        like_growth_1d,
        comment_growth_1d,
        age_hours,
        log_age_hours,
        lifetime_views_per_hour,
        regions_listed,
        regions_change_1d,
        best_rank,
        rank_change_1d,
        observed_hour,
        observed_dow,
        is_weekend
    from unwritten

)

select * from features

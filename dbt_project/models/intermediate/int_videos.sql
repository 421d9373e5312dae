{#- An increment computes a video again where one of its days was read again. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='video_id',
    on_schema_change='append_new_columns',
    pre_hook=["{{ next_build() }}", "{{ forget_later_builds() }}"],
    indexes=[
        {'columns': ['video_id'], 'unique': true},
        {'columns': ['channel_key', 'event_at', 'video_id']},
        {'columns': ['ingested_at']},
        {'columns': ['built_as_of']},
        {'columns': ['build_number']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

{% if continues() %}
    touched as (

        select distinct video_id
        from {{ ref('int_video_days') }}
        where {{ is_rewritten() }}

    ),
{% endif %}

first_days as (

    -- First and last sight in one pass: a second join on top of the four-column one below makes
    -- Postgres expect a single row and fall into a nested loop.
    select distinct on (days.video_id)
        days.video_id,
        days.source,
        days.region,
        days.event_at,
        days.available_at,
        days.ingested_at,
        days.views,
        days.is_synthetic,
        max(days.event_at) over by_video as last_event_at,
        count(*) over by_video as days_observed
    from {{ ref('int_video_days') }} as days
    {% if continues() %}
        inner join touched on days.video_id = touched.video_id
    {% endif %}
    window by_video as (partition by days.video_id)
    order by days.video_id asc, days.observed_date asc

),

observations as (

    select * from {{ ref('stg_youtube__video_observations') }}

),

joined as (

    select
        -- ids
        first_days.video_id,
        observations.channel_id,
        -- Older archives name the channel only by its title.
        coalesce(observations.channel_id, observations.channel_title) as channel_key,
        observations.category_id,

        -- text
        observations.title,
        observations.channel_title,
        observations.language,
        observations.tags,

        -- numbers
        observations.duration_s,
        first_days.views as first_views,
        first_days.days_observed,

        -- booleans
        observations.made_for_kids,
        first_days.is_synthetic,

        -- times
        observations.published_at,
        first_days.event_at,
        first_days.available_at,
        first_days.ingested_at,
        first_days.last_event_at,
        {{ as_of() }} as built_as_of,
        {{ build_number() }} as build_number

    from first_days
    inner join observations
        on
            first_days.source = observations.source
            and first_days.region = observations.region
            and first_days.video_id = observations.video_id
            and first_days.event_at = observations.event_at

)

select * from joined

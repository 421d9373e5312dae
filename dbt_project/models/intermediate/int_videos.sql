{{ config(
    indexes=[
        {'columns': ['video_id'], 'unique': true},
        {'columns': ['channel_key', 'event_at']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

first_days as (

    -- First and last sight in one pass: a second join on top of the four-column one below makes
    -- Postgres expect a single row and fall into a nested loop.
    select distinct on (video_id)
        video_id,
        source,
        region,
        event_at,
        available_at,
        views,
        is_synthetic,
        max(event_at) over (partition by video_id) as last_event_at,
        count(*) over (partition by video_id) as days_observed
    from {{ ref('int_video_days') }}
    order by video_id asc, observed_date asc

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
        first_days.last_event_at

    from first_days
    inner join observations
        on
            first_days.source = observations.source
            and first_days.region = observations.region
            and first_days.video_id = observations.video_id
            and first_days.event_at = observations.event_at

)

select * from joined

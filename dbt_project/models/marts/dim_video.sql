{{ config(
    indexes=[
        {'columns': ['video_id'], 'unique': true},
        {'columns': ['channel_key']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

last_days as (

    select distinct on (video_id) *
    from {{ ref('int_video_days') }}
    order by video_id asc, observed_date desc

),

observations as (

    select * from {{ ref('stg_youtube__video_observations') }}

),

videos as (

    select * from {{ ref('int_videos') }}

),

topic_items as (

    select * from {{ ref('int_topic_items') }}
    where content_type = 'video'

),

niches as (

    select * from {{ ref('dim_niche') }}

),

joined as (

    select
        -- ids
        last_days.video_id,
        videos.channel_id,
        videos.channel_key,
        coalesce(observations.category_id, videos.category_id) as category_id,
        niches.niche_id,
        topic_items.topic_id,

        -- text
        observations.title,
        observations.title <> videos.title as title_was_changed,
        coalesce(observations.channel_title, videos.channel_title) as channel_title,
        coalesce(observations.language, videos.language) as declared_language,
        lower(split_part(
            coalesce(observations.language, videos.language, topic_items.language), '-', 1
        )) as language,
        coalesce(observations.tags, videos.tags) as tags,

        -- numbers
        coalesce(observations.duration_s, videos.duration_s) as duration_s,
        last_days.views,
        last_days.likes,
        last_days.comments,
        case
            when last_days.views >= 100
                then (last_days.likes + last_days.comments)::double precision / last_days.views
        end as engagement_rate,
        videos.days_observed::integer as days_observed,

        -- booleans
        coalesce(observations.made_for_kids, videos.made_for_kids) as made_for_kids,
        last_days.is_synthetic,

        -- times
        coalesce(last_days.published_at, videos.published_at) as published_at,
        videos.event_at as first_seen_at,
        last_days.event_at as last_seen_at,
        last_days.available_at

    from last_days
    inner join videos on last_days.video_id = videos.video_id
    inner join observations
        on
            last_days.source = observations.source
            and last_days.region = observations.region
            and last_days.video_id = observations.video_id
            and last_days.event_at = observations.event_at
    left join niches on coalesce(observations.category_id, videos.category_id) = niches.category_id
    left join topic_items on last_days.video_id = topic_items.content_id

)

select * from joined

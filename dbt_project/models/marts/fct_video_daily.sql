{{ config(
    indexes=[
        {'columns': ['video_id', 'observed_date'], 'unique': true},
        {'columns': ['observed_date']},
        {'columns': ['topic_id']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

momentum as (

    select * from {{ ref('int_video_momentum') }}

),

videos as (

    select * from {{ ref('int_videos') }}

),

topic_items as (

    select * from {{ ref('int_topic_items') }}
    where content_type = 'video'

),

joined as (

    select
        -- ids
        momentum.video_id,
        momentum.observed_date,
        momentum.source,
        videos.channel_id,
        videos.category_id,
        topic_items.topic_id,

        -- text
        videos.title,
        videos.channel_title,
        videos.language,

        -- numbers
        momentum.day_number,
        momentum.views,
        momentum.likes,
        momentum.comments,
        momentum.views_gained,
        momentum.views_per_hour * 24 as views_gained_per_day,
        momentum.log_growth_1d,
        momentum.like_rate,
        momentum.comment_rate,
        momentum.engagement_rate,
        momentum.regions_listed,
        momentum.best_rank,
        momentum.rank_change_1d,
        momentum.hours_since_previous,
        momentum.age_hours,

        -- booleans
        momentum.is_synthetic,

        -- times
        momentum.published_at,
        momentum.event_at,
        momentum.available_at

    from momentum
    inner join videos on momentum.video_id = videos.video_id
    left join topic_items on momentum.video_id = topic_items.content_id

)

select * from joined

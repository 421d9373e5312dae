{{ config(
    indexes=[
        {'columns': ['channel_key', 'observed_date'], 'unique': true},
        {'columns': ['observed_date']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

video_days as (

    select * from {{ ref('int_video_momentum') }}

),

videos as (

    select * from {{ ref('int_videos') }}

),

channel_days as (

    select * from {{ ref('int_channel_days') }}

),

totals as (

    select
        videos.channel_key,
        video_days.observed_date,
        max(videos.channel_id) as channel_id,
        count(*) as videos_listed,
        count(*) filter (where video_days.day_number = 0) as videos_new,
        sum(video_days.views) as views,
        sum(video_days.views_gained) as views_gained,
        sum(video_days.likes) as likes,
        sum(video_days.comments) as comments,
        -- Over videos that show both counts, so that a hidden count is no zero.
        sum(video_days.likes + video_days.comments) as engagements,
        sum(video_days.views) filter (
            where video_days.likes is not null and video_days.comments is not null
        ) as engaged_views,
        min(video_days.best_rank) as best_rank,
        max(video_days.regions_listed) as most_regions,
        bool_and(video_days.is_synthetic) as is_synthetic,
        max(video_days.available_at) as available_at
    from video_days
    inner join videos on video_days.video_id = videos.video_id
    where videos.channel_key is not null
    group by videos.channel_key, video_days.observed_date

),

joined as (

    select
        -- ids
        totals.channel_key,
        totals.observed_date,
        totals.channel_id,

        -- text
        channel_days.title as channel_title,

        -- counts
        totals.videos_listed::integer as videos_listed,
        totals.videos_new::integer as videos_new,
        totals.views::bigint as views,
        totals.views_gained::bigint as views_gained,
        totals.likes::bigint as likes,
        totals.comments::bigint as comments,
        channel_days.subscribers,

        -- rates
        case
            when totals.engaged_views >= 100
                then (totals.engagements / totals.engaged_views)::double precision
        end as engagement_rate,
        totals.views::double precision / totals.videos_listed as views_per_video,

        -- places
        totals.best_rank,
        totals.most_regions,

        -- booleans
        totals.is_synthetic,
        (totals.observed_date + 1)::timestamp at time zone 'UTC' <= {{ as_of() }}
            as is_complete_day,

        -- times
        totals.available_at

    from totals
    left join channel_days
        on
            totals.channel_key = channel_days.channel_key
            and totals.observed_date = channel_days.observed_date

)

select * from joined

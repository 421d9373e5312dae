{{ config(
    indexes=[{'columns': ['topic_id'], 'unique': true}],
    post_hook='analyze {{ this }}'
) }}

{%- set window_days = var('growth_window_days') | int %}

with

topics as (

    -- A merged topic has no items left; the one that took them has its place.
    select * from {{ source('ml', 'topics') }}
    where merged_into is null

),

bounds as (

    select
        {{ as_of() }} as as_of,
        {{ as_of() }} - interval '{{ window_days }} days' as window_start,
        {{ as_of() }} - interval '{{ 2 * window_days }} days' as previous_start

),

items as (

    select
        topic_items.topic_id,
        count(*) as items,
        count(*) filter (where topic_items.content_type = 'video') as videos,
        count(*) filter (where topic_items.content_type = 'story') as stories,
        count(*) filter (where topic_items.content_type = 'post') as posts,
        count(*) filter (where topic_items.event_at > bounds.window_start) as new_items,
        bool_and(topic_items.is_synthetic) as is_synthetic,
        min(topic_items.event_at) as first_item_at,
        max(topic_items.last_event_at) as last_item_at
    from {{ ref('int_topic_items') }} as topic_items
    cross join bounds
    group by topic_items.topic_id

),

topic_channels as (

    -- To count hashed groups is faster than counting what is distinct in sorted ones.
    select
        topic_id,
        count(creator) as channels
    from (
        select
            topic_id,
            creator
        from {{ ref('int_topic_items') }}
        where content_type = 'video'
        group by topic_id, creator
    ) as channels_once
    group by topic_id

),

story_votes as (

    select
        topic_items.topic_id,
        sum(stories.upvotes) as upvotes_total
    from {{ ref('int_topic_items') }} as topic_items
    inner join {{ ref('int_hackernews_stories') }} as stories
        on topic_items.content_id = stories.item_id
    where topic_items.content_type = 'story'
    group by topic_items.topic_id

),

video_days as (

    select * from {{ ref('fct_video_daily') }}
    where topic_id is not null

),

latest_views as (

    select
        topic_id,
        sum(views) as views_total
    from (
        select distinct on (video_id)
            topic_id,
            views
        from video_days
        order by video_id asc, observed_date desc
    ) as latest
    group by topic_id

),

growth as (

    select
        video_days.topic_id,
        count(distinct video_days.video_id) filter (
            where video_days.event_at > bounds.window_start
        ) as videos_listed,
        sum(video_days.views_gained) filter (
            where video_days.event_at > bounds.window_start
        ) as views_gained,
        sum(video_days.views_gained) filter (
            where video_days.event_at <= bounds.window_start
        ) as views_gained_before
    from video_days
    inner join bounds on video_days.event_at > bounds.previous_start
    group by video_days.topic_id

),

joined as (

    select
        -- ids
        topics.topic_id,

        -- text
        topics.label,
        topics.language,
        topics.keywords,
        topics.status,

        -- counts
        coalesce(items.items, 0) as items,
        coalesce(items.videos, 0) as videos,
        coalesce(items.stories, 0) as stories,
        coalesce(items.posts, 0) as posts,
        coalesce(topic_channels.channels, 0) as channels,
        coalesce(latest_views.views_total, 0)::bigint as views_total,
        coalesce(story_votes.upvotes_total, 0)::bigint as upvotes_total,

        -- growth in the window that ends at `as_of`
        {{ window_days }} as window_days,
        coalesce(items.new_items, 0) as new_items,
        coalesce(growth.videos_listed, 0) as videos_listed,
        coalesce(growth.views_gained, 0)::bigint as views_gained,
        coalesce(growth.views_gained_before, 0)::bigint as views_gained_before,
        case
            when growth.views_gained > 0 and growth.views_gained_before > 0
                then ln(growth.views_gained::double precision / growth.views_gained_before)
        end as log_growth,

        -- booleans
        coalesce(items.is_synthetic, false) as is_synthetic,

        -- times
        topics.first_seen_at,
        topics.last_seen_at,
        items.first_item_at,
        items.last_item_at,
        bounds.as_of

    from topics
    cross join bounds
    left join items on topics.topic_id = items.topic_id
    left join topic_channels on topics.topic_id = topic_channels.topic_id
    left join story_votes on topics.topic_id = story_votes.topic_id
    left join latest_views on topics.topic_id = latest_views.topic_id
    left join growth on topics.topic_id = growth.topic_id

)

select * from joined

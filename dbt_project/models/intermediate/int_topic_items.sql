{{ config(
    indexes=[
        {'columns': ['content_type', 'content_id'], 'unique': true},
        {'columns': ['topic_id']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

assignments as (

    -- A video may be assigned once per source that showed it: the closest topic counts.
    select distinct on (content_type, content_id)
        case
            when source like 'youtube%' then 'video'
            when source = 'hackernews' then 'story'
            else 'post'
        end as content_type,
        case
            when source like 'youtube%' or source = 'hackernews' then content_id
            else source || ':' || content_id
        end as content_id,
        topic_id,
        similarity,
        language
    from {{ source('ml', 'topic_assignments') }}
    where assigned_as_of <= {{ as_of() }}
    order by content_type asc, content_id asc, similarity desc, topic_id asc

),

items as (

    select
        'video' as content_type,
        video_id as content_id,
        title,
        channel_key as creator,
        is_synthetic,
        event_at,
        last_event_at
    from {{ ref('int_videos') }}

    union all

    select
        'story' as content_type,
        item_id as content_id,
        title,
        author as creator,
        is_synthetic,
        event_at,
        last_event_at
    from {{ ref('int_hackernews_stories') }}

    union all

    select
        'post' as content_type,
        source || ':' || content_id as content_id,
        (array_agg(title order by event_at desc, title asc))[1] as title,
        max(creator) as creator,
        bool_and(is_synthetic) as is_synthetic,
        min(event_at) as event_at,
        max(event_at) as last_event_at
    from {{ ref('stg_records__posts') }}
    where
        source not in ('youtube', 'hackernews')
        and title is not null
        and event_at <= {{ as_of() }}
        and available_at <= {{ as_of() }}
    group by source, content_id

),

joined as (

    select
        -- ids
        items.content_type,
        items.content_id,
        assignments.topic_id,

        -- text
        items.title,
        items.creator,
        assignments.language,

        -- numbers
        assignments.similarity,

        -- booleans
        items.is_synthetic,

        -- times
        items.event_at,
        items.last_event_at

    from items
    inner join assignments
        on
            items.content_type = assignments.content_type
            and items.content_id = assignments.content_id

)

select * from joined

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
        case when source like 'youtube%' then 'video' else 'story' end as content_type,
        content_id,
        topic_id,
        similarity
    from {{ source('ml', 'topic_assignments') }}
    where
        (source like 'youtube%' or source = 'hackernews')
        and assigned_as_of <= {{ as_of() }}
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

with

raw_videos as (

    select * from {{ source('raw', 'youtube_videos') }}

),

renamed as (

    select
        -- ids
        source,
        region,
        video_id,
        channel_id,
        category_id,

        -- text
        title,
        channel_title,
        language,
        tags,

        -- numbers
        chart_rank,
        duration_s,
        views,
        likes,
        dislikes,
        comments,
        regions_listed,

        -- booleans
        source = 'youtube-panel' as is_panel,
        made_for_kids,
        is_synthetic,

        -- times
        (observed_at at time zone 'UTC')::date as observed_date,
        observed_at as event_at,
        available_at,
        ingested_at,
        published_at

    from raw_videos

)

select * from renamed

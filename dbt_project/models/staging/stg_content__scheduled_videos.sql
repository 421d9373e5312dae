with

video_schedule as (

    select * from {{ source('content', 'video_schedule') }}

),

renamed as (

    select
        -- ids
        video_id,
        channel_id,
        topic_id,
        model_name,
        model_version,

        -- text
        topic,
        status,

        -- numbers
        forecast,
        score,

        -- booleans
        coalesce((brief ->> 'synthetic')::boolean, false) as is_synthetic,

        -- times
        as_of as planned_as_of,
        publish_at,
        planned_at

    from video_schedule

)

select * from renamed

with

videos as (

    select * from {{ source('content', 'videos') }}

),

renamed as (

    select
        -- ids
        video_id,
        channel_id,
        topic_id,

        -- text
        title,
        verdict,

        -- numbers
        (scores ->> 'overall')::double precision as gate_score,
        duration_s,

        -- times
        finished_at

    from videos

)

select * from renamed

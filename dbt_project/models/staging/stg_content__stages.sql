with

stage_results as (

    select * from {{ source('content', 'stage_results') }}

),

renamed as (

    select
        -- ids
        video_id,
        stage,

        -- text
        provider,
        metrics ->> 'verdict' as verdict,

        -- numbers
        seconds,

        -- times
        finished_at

    from stage_results

)

select * from renamed

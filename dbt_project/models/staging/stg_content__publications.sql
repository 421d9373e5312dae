with

publications as (

    select * from {{ source('content', 'publications') }}

),

renamed as (

    select
        -- ids
        video_id,
        destination,
        external_id,

        -- text
        status,
        url,

        -- times
        published_at

    from publications

)

select * from renamed

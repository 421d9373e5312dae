with

raw_records as (

    select * from {{ source('raw', 'records') }}
    where source = 'github-trending' and kind = 'listing'

),

renamed as (

    select
        -- ids
        source,
        record_id as repository_id,

        -- text
        payload ->> 'lang' as programming_language,
        payload ->> 'desc' as description,

        -- numbers
        (payload ->> 'position')::numeric::integer as list_position,

        -- booleans
        is_synthetic,

        -- times
        (event_at at time zone 'UTC')::date as listed_date,
        event_at,
        available_at,
        ingested_at

    from raw_records

)

select * from renamed

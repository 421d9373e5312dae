with

raw_records as (

    select * from {{ source('raw', 'records') }}
    where source = 'youtube_channels' and kind = 'channel'

),

renamed as (

    select
        -- ids
        record_id as channel_id,

        -- text
        payload ->> 'title' as title,
        payload ->> 'handle' as handle,
        payload ->> 'country' as country,

        -- numbers
        (payload ->> 'subscribers')::numeric::bigint as subscribers,
        (payload ->> 'videos')::numeric::bigint as videos,
        (payload ->> 'views')::numeric::bigint as views,

        -- booleans
        is_synthetic,

        -- times
        (payload ->> 'created_at')::timestamptz as created_at,
        (event_at at time zone 'UTC')::date as observed_date,
        event_at,
        available_at,
        ingested_at

    from raw_records

)

select * from renamed

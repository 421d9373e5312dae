with

raw_records as (

    select
        *,
        -- Facts that stay as they are: known since the first sight.
        least(first_available_at, available_at) as known_at
    from {{ source('raw', 'records') }}
    where source = 'hackernews' and kind = 'item'

),

deduplicated as (

    -- An archive and the live connector may both yield an item: the first sight of it counts.
    select distinct on (record_id) *
    from raw_records
    order by record_id asc, event_at asc, known_at asc

),

renamed as (

    select
        -- ids
        source,
        record_id as item_id,

        -- text
        payload ->> 'title' as title,
        payload ->> 'url' as url,
        payload ->> 'author' as author,

        -- booleans
        is_synthetic,

        -- times
        event_at,
        known_at as available_at,
        ingested_at

    from deduplicated

)

select * from renamed

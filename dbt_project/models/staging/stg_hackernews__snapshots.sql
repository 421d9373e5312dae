with

raw_records as (

    select * from {{ source('raw', 'records') }}
    where source = 'hackernews' and kind = 'snapshot'

),

renamed as (

    select
        -- ids
        source,
        record_id as item_id,

        -- numbers; through numeric, because some sources write 11.0
        (payload ->> 'rank')::numeric::integer as front_page_rank,
        (payload ->> 'upvotes')::numeric::integer as upvotes,
        (payload ->> 'comments')::numeric::integer as comments,

        -- booleans
        is_synthetic,

        -- times
        event_at,
        available_at,
        ingested_at

    from raw_records

)

select * from renamed

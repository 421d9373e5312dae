with

cost_ledger as (

    select * from {{ source('ops', 'cost_ledger') }}

),

renamed as (

    select
        -- ids
        cost_id,
        video_id,

        -- text
        stage,
        provider,
        unit,

        -- numbers
        quantity,
        cost_usd,

        -- times
        created_at

    from cost_ledger

)

select * from renamed

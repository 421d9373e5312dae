with

quota_ledger as (

    select * from {{ source('ops', 'quota_ledger') }}

),

renamed as (

    select
        -- ids
        provider,
        pool,
        day as quota_date,

        -- numbers
        used,
        quota

    from quota_ledger

)

select * from renamed

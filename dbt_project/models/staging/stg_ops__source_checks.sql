with

source_checks as (

    select * from {{ source('ops', 'source_checks') }}

),

renamed as (

    select
        -- ids
        source,

        -- text
        detail,

        -- times
        checked_at,
        verified_at

    from source_checks

)

select * from renamed

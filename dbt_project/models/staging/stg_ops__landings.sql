with

landings as (

    select * from {{ source('ops', 'landings') }}

),

renamed as (

    select
        -- ids
        source,
        interval_start,
        interval_end,
        run_id,

        -- text
        family,
        status,
        reason,
        level,

        -- numbers
        pages,
        rows as rows_landed,
        rows_new,
        rejected as rows_rejected,

        -- times
        landed_at

    from landings

)

select * from renamed

with

dag_runs as (

    select * from {{ source('ops', 'dag_runs') }}

),

renamed as (

    select
        -- ids
        dag_id,
        run_id,

        -- text
        run_type,
        state,
        note,

        -- times
        queued_at,
        started_at,
        ended_at

    from dag_runs

)

select * from renamed

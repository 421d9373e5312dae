with

task_runs as (

    select * from {{ source('ops', 'task_runs') }}

),

renamed as (

    select
        -- ids
        dag_id,
        run_id,
        task_id,
        map_index,
        try_number,

        -- text
        state,

        -- times
        started_at,
        ended_at

    from task_runs

)

select * from renamed

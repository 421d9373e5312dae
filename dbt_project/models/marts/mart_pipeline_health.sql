{{ config(indexes=[{'columns': ['dag_id', 'run_date'], 'unique': true}]) }}

with

dag_runs as (

    select
        *,
        (coalesce(started_at, queued_at, ended_at) at time zone 'UTC')::date as run_date,
        extract(epoch from ended_at - started_at) as duration_s,
        extract(epoch from started_at - queued_at) as queued_s
    from {{ ref('stg_ops__dag_runs') }}
    where coalesce(started_at, queued_at, ended_at) is not null

),

tasks as (

    -- The number of the last try counts those that were killed, too.
    select
        dag_id,
        run_id,
        task_id,
        map_index,
        count(*) as task_tries,
        count(*) filter (where state in ('failed', 'up_for_retry')) as failed_tries,
        max(try_number) - 1 as retries
    from {{ ref('stg_ops__task_runs') }}
    group by dag_id, run_id, task_id, map_index

),

run_tasks as (

    select
        dag_id,
        run_id,
        count(*) as tasks,
        sum(task_tries) as task_tries,
        sum(failed_tries) as failed_tries,
        sum(retries) as retries
    from tasks
    group by dag_id, run_id

),

joined as (

    select
        dag_runs.*,
        coalesce(run_tasks.tasks, 0) as tasks,
        coalesce(run_tasks.task_tries, 0) as task_tries,
        coalesce(run_tasks.failed_tries, 0) as failed_tries,
        coalesce(run_tasks.retries, 0) as retries
    from dag_runs
    left join run_tasks
        on
            dag_runs.dag_id = run_tasks.dag_id
            and dag_runs.run_id = run_tasks.run_id

),

days as (

    select
        -- ids
        dag_id,
        run_date,

        -- runs
        count(*) as runs,
        count(*) filter (where state = 'success') as successes,
        count(*) filter (where state = 'failed') as failures,
        count(*) filter (where state not in ('success', 'failed')) as unfinished,
        count(*) filter (where state = 'failed')::double precision
        / nullif(count(*) filter (where state in ('success', 'failed')), 0) as failure_rate,

        -- durations of finished runs
        percentile_cont(0.5) within group (order by duration_s) as duration_p50_s,
        percentile_cont(0.95) within group (order by duration_s) as duration_p95_s,
        max(duration_s)::double precision as duration_max_s,
        percentile_cont(0.5) within group (order by queued_s) as queued_p50_s,

        -- tasks
        sum(tasks)::bigint as tasks,
        sum(task_tries)::bigint as task_tries,
        sum(failed_tries)::bigint as failed_tries,
        sum(retries)::bigint as retries,
        count(*) filter (where retries > 0) as runs_with_retries,

        -- times
        max(started_at) as last_started_at,
        max(ended_at) as last_ended_at

    from joined
    group by dag_id, run_date

)

select * from days

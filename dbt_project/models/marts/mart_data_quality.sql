{{ config(indexes=[{'columns': ['gate', 'checked_date'], 'unique': true}]) }}

with

results as (

    select
        *,
        (checked_at at time zone 'UTC')::date as checked_date
    from {{ ref('stg_ops__gate_results') }}

),

gate_runs as (

    -- A run writes all its results at once; the newest names its day.
    select
        gate,
        run_id,
        max(checked_date) as checked_date,
        max(checked_at) as checked_at,
        max(data_as_of) as data_as_of,
        max(rows_checked) as rows_checked,
        max(report_key) as report_key,
        count(*) filter (where not is_skipped) as expectations,
        count(*) filter (where is_skipped) as expectations_skipped,
        count(*) filter (where not is_success and severity = 'block') as failed_blocking,
        count(*) filter (where not is_success and severity = 'warn') as failed_warning,
        coalesce(sum(unexpected_rows) filter (where not is_success), 0) as unexpected_rows,
        array_agg(expectation order by expectation) filter (where not is_success)
            as failed_expectations
    from results
    group by gate, run_id

),

failing as (

    select
        gate_runs.gate,
        gate_runs.checked_date,
        array_agg(distinct failed.name order by failed.name) as failed_expectations
    from gate_runs
    cross join lateral unnest(gate_runs.failed_expectations) as failed (name)
    group by gate_runs.gate, gate_runs.checked_date

),

days as (

    select
        gate,
        checked_date,
        count(*) as gate_runs,
        count(*) filter (where failed_blocking > 0) as blocked_runs,
        sum(expectations)::bigint as expectations_checked,
        sum(expectations_skipped)::bigint as expectations_skipped,
        sum(failed_blocking)::bigint as failed_blocking,
        sum(failed_warning)::bigint as failed_warning,
        sum(rows_checked)::bigint as rows_checked,
        sum(unexpected_rows)::bigint as unexpected_rows,
        (array_agg(failed_blocking > 0 order by checked_at desc, run_id desc))[1]
            as is_last_run_blocked,
        (array_agg(report_key order by checked_at desc, run_id desc))[1] as last_report_key,
        max(data_as_of) as last_data_as_of,
        max(checked_at) as last_checked_at
    from gate_runs
    group by gate, checked_date

),

joined as (

    select
        -- ids
        days.gate,
        days.checked_date,

        -- numbers
        days.gate_runs,
        days.blocked_runs,
        days.expectations_checked,
        days.expectations_skipped,
        days.expectations_checked - days.failed_blocking - days.failed_warning
            as expectations_passed,
        days.failed_blocking,
        days.failed_warning,
        days.rows_checked,
        days.unexpected_rows,
        (days.expectations_checked - days.failed_blocking - days.failed_warning)::double precision
        / nullif(days.expectations_checked, 0) as pass_rate,

        -- text
        coalesce(failing.failed_expectations, array[]::text[]) as failed_expectations,
        days.last_report_key,

        -- booleans
        days.is_last_run_blocked,

        -- times
        days.last_data_as_of,
        days.last_checked_at

    from days
    left join failing
        on
            days.gate = failing.gate
            and days.checked_date = failing.checked_date

)

select * from joined

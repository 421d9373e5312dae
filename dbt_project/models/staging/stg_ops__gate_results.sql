with

gate_results as (

    select * from {{ source('ops', 'gate_results') }}

),

renamed as (

    select
        -- ids
        gate_result_id,
        gate,
        run_id,
        expectation,
        column_name,

        -- text
        severity,
        report_key,

        -- numbers
        unexpected_count as unexpected_rows,
        (details ->> 'rows')::bigint as rows_checked,

        -- booleans
        success as is_success,
        details ->> 'skipped' is not null as is_skipped,

        -- times
        (details ->> 'as_of')::timestamptz as data_as_of,
        checked_at

    from gate_results

)

select * from renamed

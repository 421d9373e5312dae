{{ config(indexes=[{'columns': ['drift_report_id', 'aspect', 'column_name'], 'unique': true}]) }}

with

reports as (

    select * from {{ ref('stg_ml__drift_reports') }}

),

watched as (

    select * from {{ ref('stg_ml__drift_columns') }}

),

joined as (

    select
        -- ids
        reports.drift_report_id,
        reports.model_name,
        reports.model_version,
        watched.aspect,
        watched.column_name,

        -- text
        reports.verdict as report_verdict,
        watched.verdict,
        watched.strongest_test,
        reports.report_key,

        -- numbers
        watched.q_value,
        watched.effect,
        watched.psi,
        watched.current_rows,
        watched.reference_rows,
        watched.current_missing_share,
        watched.reference_missing_share,
        watched.current_mean,
        watched.reference_mean,
        watched.verdict = 'drift'
        and coalesce(lag(watched.verdict) over of_column, 'stable') != 'drift' as is_new,

        -- times
        reports.current_start,
        reports.current_end

    from watched
    inner join reports on watched.drift_report_id = reports.drift_report_id
    where reports.current_end <= {{ as_of() }}
    window of_column as (
        partition by
            reports.model_name, reports.model_version, watched.aspect, watched.column_name
        order by reports.current_end
    )

)

select * from joined

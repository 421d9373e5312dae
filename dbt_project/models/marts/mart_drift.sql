{{ config(indexes=[{'columns': ['drift_report_id', 'aspect', 'column_name'], 'unique': true}]) }}

with

reports as (

    select * from {{ ref('stg_ml__drift_reports') }}

),

columns as (

    select * from {{ ref('stg_ml__drift_columns') }}

),

joined as (

    select
        -- ids
        reports.drift_report_id,
        reports.model_name,
        reports.model_version,
        columns.aspect,
        columns.column_name,

        -- text
        reports.verdict as report_verdict,
        columns.verdict,
        columns.strongest_test,
        reports.report_key,

        -- numbers
        columns.q_value,
        columns.effect,
        columns.psi,
        columns.current_rows,
        columns.reference_rows,
        columns.current_missing_share,
        columns.reference_missing_share,
        columns.current_mean,
        columns.reference_mean,
        columns.verdict = 'drift'
        and lag(columns.verdict) over of_column is distinct from 'drift' as is_new,

        -- times
        reports.current_start,
        reports.current_end

    from columns
    inner join reports on columns.drift_report_id = reports.drift_report_id
    where reports.current_end <= {{ as_of() }}
    window of_column as (
        partition by
            reports.model_name, reports.model_version, columns.aspect, columns.column_name
        order by reports.current_end
    )

)

select * from joined

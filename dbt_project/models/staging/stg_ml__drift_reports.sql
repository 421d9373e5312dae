with

drift_reports as (

    select * from {{ source('registry', 'drift_reports') }}

),

renamed as (

    select
        -- ids
        drift_report_id,
        model_name,
        model_version,

        -- text
        verdict,
        report_key,

        -- numbers
        columns_checked,
        columns_drifted,
        drift_share::double precision as drift_share,

        -- times
        reference_start,
        reference_end,
        current_start,
        current_end

    from drift_reports

)

select * from renamed

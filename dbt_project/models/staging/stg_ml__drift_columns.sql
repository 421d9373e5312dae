with

drift_columns as (

    select * from {{ source('watching', 'drift_columns') }}

),

renamed as (

    select
        -- ids
        drift_report_id,
        column_name,

        -- text
        aspect,
        verdict,
        strongest_test,

        -- numbers
        p_value,
        q_value,
        effect,
        psi,
        current_rows,
        reference_rows,
        current_missing as current_missing_share,
        reference_missing as reference_missing_share,
        current_mean,
        reference_mean

    from drift_columns

)

select * from renamed

with

training_jobs as (

    select * from {{ source('registry', 'training_jobs') }}

),

renamed as (

    select
        -- ids
        job_name::text as job_name,

        -- text
        model_type::text as model_type,
        status::text as status,
        error_message,

        -- documents
        metrics,

        -- numbers
        best_metric::double precision as gate_metric_value,
        duration_seconds as duration_s,

        -- times
        started_at,
        completed_at

    from training_jobs

)

select * from renamed

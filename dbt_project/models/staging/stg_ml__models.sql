with

ml_models as (

    select * from {{ source('registry', 'ml_models') }}

),

renamed as (

    select
        -- ids
        id as model_id,
        model_name::text as model_name,
        version::text as model_version,
        mlflow_version,
        training_data_version::text as fingerprint,

        -- text
        model_type::text as model_type,
        status::text as status,
        metadata ->> 'reason' as decision_reason,

        -- numbers
        accuracy::double precision as accuracy,
        f1_score::double precision as f1,

        -- times
        created_at as registered_at,
        deployed_at,
        deprecated_at

    from ml_models

)

select * from renamed

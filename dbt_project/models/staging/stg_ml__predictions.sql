with

model_predictions as (

    select * from {{ source('registry', 'model_predictions') }}

),

renamed as (

    select
        -- ids
        id as prediction_id,
        model_id,
        prediction_type::text as prediction_type,
        entity_id,

        -- documents, whose keys depend on the type
        input_data,
        prediction,

        -- numbers
        confidence::double precision as confidence,
        latency_ms,

        -- times
        as_of as predicted_as_of,
        created_at

    from model_predictions

)

select * from renamed

with

model_performance_metrics as (

    select * from {{ source('registry', 'model_performance_metrics') }}

),

renamed as (

    select
        -- ids
        model_id,
        metric_date,

        -- numbers
        predictions_count,
        accuracy::double precision as accuracy,
        precision_score::double precision as precision_score,
        recall_score::double precision as recall_score,
        f1_score::double precision as f1,
        drift_score::double precision as drift_share

    from model_performance_metrics

)

select * from renamed

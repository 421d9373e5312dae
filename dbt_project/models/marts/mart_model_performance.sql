{{ config(indexes=[{'columns': ['model_name', 'model_version'], 'unique': true}]) }}

with

models as (

    select * from {{ ref('stg_ml__models') }}

),

trainings as (

    select
        job_name,
        metrics,
        gate_metric_value,
        duration_s
    from {{ ref('stg_ml__training_runs') }}
    where status = 'completed'

),

best_baselines as (

    -- What was measured beside the model itself and the champion of that time.
    select distinct on (trainings.job_name)
        trainings.job_name,
        rivals.name as best_baseline,
        (rivals.figures ->> 'auc')::double precision as best_baseline_auc
    from trainings
    cross join lateral jsonb_each(trainings.metrics) as rivals (name, figures)
    where rivals.name not in ('model', 'champion') and rivals.figures ->> 'auc' is not null
    order by
        trainings.job_name asc, (rivals.figures ->> 'auc')::double precision desc, rivals.name asc

),

predictions as (

    select
        model_id,
        count(*) as predictions,
        min(predicted_as_of) as first_predicted_as_of,
        max(predicted_as_of) as last_predicted_as_of
    from {{ ref('stg_ml__predictions') }}
    where predicted_as_of <= {{ as_of() }}
    group by model_id

),

outcomes as (

    select
        model_id,
        -- Exact numbers: their means are the same in whatever order the rows come.
        score::numeric as score,
        squared_error::numeric as squared_error,
        is_forecast_rising,
        is_actual_rising,
        is_correct,
        -- Equal scores share the mean of their ranks.
        rank() over (partition by model_id order by score)
        + (count(*) over (partition by model_id, score) - 1) / 2.0 as score_rank
    from {{ ref('fct_trend_scores') }}
    where is_outcome_known

),

realised as (

    select
        model_id,
        count(*) as outcomes_known,
        avg(is_actual_rising::integer)::double precision as rising_share,
        avg(score)::double precision as mean_score,
        avg(is_correct::integer)::double precision as accuracy,
        count(*) filter (where is_forecast_rising and is_actual_rising)::double precision
        / nullif(count(*) filter (where is_forecast_rising), 0) as precision_score,
        count(*) filter (where is_forecast_rising and is_actual_rising)::double precision
        / nullif(count(*) filter (where is_actual_rising), 0) as recall_score,
        avg(squared_error)::double precision as brier,
        -- The share of pairs of a rising and another one in which the rising one scored higher.
        ((
            sum(score_rank) filter (where is_actual_rising)
            - count(*) filter (where is_actual_rising)
            * (count(*) filter (where is_actual_rising) + 1) / 2.0
        ) / nullif(
            count(*) filter (where is_actual_rising) * count(*) filter (where not is_actual_rising),
            0
        ))::double precision as auc
    from outcomes
    group by model_id

),

calibration_bins as (

    select
        model_id,
        count(*) as bin_rows,
        abs(avg(score) - avg(is_actual_rising::integer)) as bin_gap
    from outcomes
    group by model_id, least(floor(score * 10), 9)

),

calibration as (

    select
        model_id,
        (sum(bin_rows * bin_gap) / sum(bin_rows))::double precision as ece
    from calibration_bins
    group by model_id

),

watched as (

    select
        model_id,
        count(*) as days_watched,
        max(metric_date) as last_watched_date,
        (array_agg(accuracy order by metric_date desc) filter (where accuracy is not null))[1]
            as last_watched_accuracy
    from {{ ref('stg_ml__daily_metrics') }}
    group by model_id

),

drift as (

    select distinct on (model_name, model_version)
        model_name,
        model_version,
        verdict,
        drift_share,
        current_end
    from {{ ref('stg_ml__drift_reports') }}
    where current_end <= {{ as_of() }}
    order by model_name asc, model_version asc, current_end desc, drift_report_id asc

),

joined as (

    select
        -- ids
        models.model_id,
        models.model_name,
        models.model_version,
        models.mlflow_version,

        -- text
        models.model_type,
        models.status,
        models.decision_reason,

        -- offline, on the test slice of the training
        (trainings.metrics -> 'model' ->> 'rows')::double precision::bigint as test_rows,
        trainings.gate_metric_value,
        (trainings.metrics -> 'model' ->> 'auc')::double precision as test_auc,
        coalesce(
            (trainings.metrics -> 'model' ->> 'accuracy')::double precision, models.accuracy
        ) as test_accuracy,
        coalesce((trainings.metrics -> 'model' ->> 'f1')::double precision, models.f1) as test_f1,
        (trainings.metrics -> 'model' ->> 'brier')::double precision as test_brier,
        (trainings.metrics -> 'model' ->> 'ece')::double precision as test_ece,
        best_baselines.best_baseline,
        best_baselines.best_baseline_auc,
        (trainings.metrics -> 'champion' ->> 'auc')::double precision as champion_auc,
        trainings.duration_s as training_s,

        -- realised, on the predictions whose outcome is known
        coalesce(predictions.predictions, 0) as predictions,
        coalesce(realised.outcomes_known, 0) as outcomes_known,
        realised.rising_share,
        realised.mean_score,
        realised.accuracy as realised_accuracy,
        realised.precision_score as realised_precision,
        realised.recall_score as realised_recall,
        realised.auc as realised_auc,
        realised.brier as realised_brier,
        calibration.ece as realised_ece,

        -- watched by monitoring
        coalesce(watched.days_watched, 0) as days_watched,
        watched.last_watched_date,
        watched.last_watched_accuracy,
        drift.verdict as drift_verdict,
        drift.drift_share,
        drift.current_end as drift_as_of,

        -- times
        models.registered_at,
        models.deployed_at,
        models.deprecated_at,
        predictions.first_predicted_as_of,
        predictions.last_predicted_as_of

    from models
    left join trainings
        on models.model_name || '-' || left(models.fingerprint, 12) = trainings.job_name
    left join best_baselines on trainings.job_name = best_baselines.job_name
    left join predictions on models.model_id = predictions.model_id
    left join realised on models.model_id = realised.model_id
    left join calibration on models.model_id = calibration.model_id
    left join watched on models.model_id = watched.model_id
    left join drift
        on
            models.model_name = drift.model_name
            and models.model_version = drift.model_version

)

select * from joined

{{ config(
    indexes=[
        {'columns': ['prediction_id'], 'unique': true},
        {'columns': ['entity_id', 'predicted_as_of']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

predictions as (

    select * from {{ ref('stg_ml__predictions') }}
    where prediction_type like 'trend\_%' and predicted_as_of <= {{ as_of() }}

),

models as (

    select * from {{ ref('stg_ml__models') }}

),

video_days as (

    select
        video_id,
        day_number,
        views,
        greatest(event_at, available_at) as known_at
    from {{ ref('int_video_momentum') }}

),

story_sights as (

    select * from {{ ref('stg_hackernews__snapshots') }}
    where event_at <= {{ as_of() }} and available_at <= {{ as_of() }}

),

scores as (

    select
        prediction_id,
        model_id,
        substr(prediction_type, length('trend_') + 1) as entity_type,
        entity_id,
        predicted_as_of,
        (input_data ->> 'day_number')::integer as day_number,
        (input_data ->> 'event_timestamp')::timestamptz as observed_at,
        (input_data ->> 'upvotes')::double precision as upvotes,
        (prediction ->> 'probability')::double precision as score,
        (prediction ->> 'rising')::boolean as is_forecast_rising,
        (prediction ->> 'growth_threshold')::double precision as growth_threshold,
        (prediction ->> 'horizon_hours')::integer as horizon_hours
    from predictions

),

video_outcomes as (

    -- What training calls the label: the views of the day that the horizon ends on, over those of
    -- the day that the prediction was made from.
    select
        scores.prediction_id,
        later_days.known_at,
        ln(greatest(later_days.views, 1)::double precision / greatest(first_days.views, 1))
            as log_growth
    from scores
    inner join video_days as first_days
        on
            scores.entity_id = first_days.video_id
            and scores.day_number = first_days.day_number
    inner join video_days as later_days
        on
            scores.entity_id = later_days.video_id
            and scores.day_number + scores.horizon_hours / 24 = later_days.day_number
    where scores.entity_type = 'video'

),

story_outcomes as (

    -- The most upvotes of the 48 hours since its entry, whose first hour was predicted from.
    select
        scores.prediction_id,
        greatest(
            scores.observed_at + make_interval(hours => scores.horizon_hours),
            max(story_sights.available_at)
        ) as known_at,
        ln(greatest(max(story_sights.upvotes), 1) / greatest(scores.upvotes, 1)) as log_growth
    from scores
    inner join story_sights
        on
            scores.entity_id = story_sights.item_id
            and story_sights.event_at >= scores.observed_at - interval '1 hour'
            and story_sights.event_at
            <= scores.observed_at + make_interval(hours => scores.horizon_hours)
    where
        scores.entity_type = 'story'
        and scores.observed_at + make_interval(hours => scores.horizon_hours) <= {{ as_of() }}
    group by scores.prediction_id, scores.observed_at, scores.horizon_hours, scores.upvotes

),

outcomes as (

    select * from video_outcomes
    union all
    select * from story_outcomes

),

joined as (

    select
        -- ids
        scores.prediction_id,
        scores.model_id,
        models.model_name,
        models.model_version,
        scores.entity_type,
        scores.entity_id,
        scores.predicted_as_of,

        -- what the model said
        scores.score,
        scores.is_forecast_rising,
        scores.growth_threshold,
        scores.horizon_hours,
        scores.observed_at,
        scores.observed_at + make_interval(hours => scores.horizon_hours) as outcome_due_at,

        -- what came of it
        outcomes.log_growth is not null as is_outcome_known,
        outcomes.known_at as outcome_known_at,
        outcomes.log_growth as actual_log_growth,
        outcomes.log_growth > scores.growth_threshold as is_actual_rising,
        scores.is_forecast_rising = (outcomes.log_growth > scores.growth_threshold)
            as is_correct,
        power(
            scores.score - (outcomes.log_growth > scores.growth_threshold)::integer, 2
        ) as squared_error

    from scores
    inner join models on scores.model_id = models.model_id
    left join outcomes on scores.prediction_id = outcomes.prediction_id

)

select * from joined

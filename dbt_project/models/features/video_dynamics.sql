{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='fail',
    indexes=[
        {'columns': ['video_id', 'event_at'], 'unique': true},
        {'columns': ['event_at']},
        {'columns': ['available_at']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

momentum as (

    select * from {{ ref('int_video_momentum') }}

),

sequenced as (

    select
        *,
        ln(greatest(likes, 1))::double precision as log_likes,
        ln(greatest(comments, 1))::double precision as log_comments,
        row_number() over by_video as days_observed,
        first_value(log_views) over by_video as first_log_views,
        first_value(age_hours) over by_video as age_at_first_hours,
        first_value(best_rank) over by_video as first_rank,
        first_value(regions_listed) over by_video as first_regions,
        first_value(like_rate) over by_video as first_like_rate,
        first_value(comment_rate) over by_video as first_comment_rate,
        lag(observed_date) over by_video as previous_date,
        lag(log_growth_1d) over by_video as previous_log_growth_1d,
        lag(like_growth_1d) over by_video as previous_like_growth_1d,
        lag(views_per_hour) over by_video as previous_views_per_hour,
        lag(like_rate) over by_video as previous_like_rate,
        lag(comment_rate) over by_video as previous_comment_rate,
        lag(likes) over by_video as previous_likes,
        lag(comments) over by_video as previous_comments,
        max(regions_listed) over by_video as regions_most,
        min(best_rank) over by_video as rank_so_far,
        max(views_per_hour) over by_video as fastest_views_per_hour,
        avg(best_rank) over by_video as rank_mean,
        avg(regions_listed) over by_video as regions_mean
    from momentum
    window by_video as (
        partition by video_id order by observed_date
        rows between unbounded preceding and current row
    )

),

timed as (

    select
        *,
        (extract(epoch from event_at at time zone 'UTC' - observed_date) / 86400)
        ::double precision as day_share,
        case
            when age_hours > 1 and age_hours - hours_since_previous > 1
                then log_growth_1d / ln(age_hours / (age_hours - hours_since_previous))
        end as power_exponent
    from sequenced

),

features as (

    select
        video_id,
        event_at,
        available_at,
        is_synthetic,

        -- growth so far
        days_observed::integer as days_observed,
        (day_number + 1 - days_observed)::integer as days_missed,
        first_log_views,
        log_views - first_log_views as growth_since_first,
        (log_views - first_log_views) / nullif(hours_since_first, 0) * 24 as growth_per_day,
        previous_log_growth_1d,
        log_growth_1d - previous_log_growth_1d as growth_change_1d,
        ln(greatest(views_gained, 1))::double precision as log_views_gained,
        ln(greatest(views_per_hour, 0.01) / greatest(lifetime_views_per_hour, 0.01))
        ::double precision as recent_to_lifetime,
        ln(greatest(views_per_hour, 0.01) / greatest(previous_views_per_hour, 0.01))
        ::double precision as speed_change_1d,
        ln(greatest(views_per_hour, 0.01) / greatest(fastest_views_per_hour, 0.01))
        ::double precision as speed_to_fastest,
        power_exponent,
        first_log_views - ln(1 + age_at_first_hours) as first_log_speed,

        -- likes and comments
        log_likes,
        log_comments,
        log_likes - log_comments as log_likes_per_comment,
        ((likes - previous_likes) / nullif(hours_since_previous, 0))::double precision
            as likes_per_hour,
        ((comments - previous_comments) / nullif(hours_since_previous, 0))::double precision
            as comments_per_hour,
        like_growth_1d - log_growth_1d as like_lead_1d,
        comment_growth_1d - log_growth_1d as comment_lead_1d,
        like_growth_1d - previous_like_growth_1d as like_growth_change_1d,
        like_rate - previous_like_rate as like_rate_change_1d,
        comment_rate - previous_comment_rate as comment_rate_change_1d,
        first_like_rate,
        first_comment_rate,
        ln(nullif(like_rate / nullif(first_like_rate, 0), 0)) as like_rate_since_first,
        (likes - previous_likes)::double precision / nullif(greatest(views_gained, 0), 0)
            as like_rate_of_gain,

        -- places
        first_rank,
        first_regions,
        rank_so_far,
        rank_mean::double precision as rank_mean,
        regions_most,
        regions_mean::double precision as regions_mean,
        best_rank - first_rank as rank_change_since_first,
        best_rank - rank_so_far as rank_lost,
        regions_listed - first_regions as regions_change_since_first,
        ln(
            greatest(regions_listed, 1)::double precision / greatest(regions_most, 1)
        ) as regions_to_most,

        -- moments
        age_at_first_hours,
        day_share,
        sin(2 * pi() * day_share) as day_sine,
        cos(2 * pi() * day_share) as day_cosine,
        sin(2 * pi() * observed_dow / 7) as week_sine,
        cos(2 * pi() * observed_dow / 7) as week_cosine,
        ((observed_dow + 1) % 7 >= 5)::integer + ((observed_dow + 2) % 7 >= 5)::integer
            as weekend_days_ahead
    from timed

)

select features.*
from features
{% if is_incremental() %}
    -- Append only, and one row a day, as in video_momentum.
    where not exists (
        select 1
        from {{ this }} as written
        where
            features.video_id = written.video_id
            and (features.event_at at time zone 'UTC')::date
            = (written.event_at at time zone 'UTC')::date
    )
{% endif %}

{#- An increment computes a video again, with all its days, where one of them was read again. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['video_id', 'observed_date'],
    on_schema_change='append_new_columns',
    pre_hook=["{{ next_build() }}", "{{ forget_later_builds() }}"],
    indexes=[
        {'columns': ['video_id', 'observed_date'], 'unique': true},
        {'columns': ['event_at']},
        {'columns': ['ingested_at']},
        {'columns': ['built_as_of']},
        {'columns': ['build_number']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

{% if continues() %}
    touched as (

        select distinct video_id
        from {{ ref('int_video_days') }}
        where {{ is_rewritten() }}

    ),
{% endif %}

video_days as (

    select days.*
    from {{ ref('int_video_days') }} as days
    {% if continues() %}
        inner join touched on days.video_id = touched.video_id
    {% endif %}

),

sequenced as (

    select
        *,
        lag(observed_date) over by_video as previous_date,
        lag(event_at) over by_video as previous_event_at,
        lag(views) over by_video as previous_views,
        lag(likes) over by_video as previous_likes,
        lag(comments) over by_video as previous_comments,
        lag(regions_listed) over by_video as previous_regions_listed,
        lag(best_rank) over by_video as previous_best_rank,
        first_value(observed_date) over by_video as first_date,
        first_value(event_at) over by_video as first_event_at,
        -- A row is known only when the earlier rows it is computed from are.
        max(available_at) over by_video as known_at
    from video_days
    window by_video as (
        partition by video_id order by observed_date
        rows between unbounded preceding and current row
    )

),

measured as (

    select
        *,
        previous_date = observed_date - 1 as is_next_day,
        extract(epoch from event_at - first_event_at) / 3600 as hours_since_first,
        extract(epoch from event_at - previous_event_at) / 3600 as hours_since_previous,
        case
            when published_at <= event_at
                then extract(epoch from event_at - published_at) / 3600
        end as age_hours
    from sequenced

),

computed as (

    select
        -- ids
        video_id,
        observed_date,
        source,
        region,

        -- counts
        (observed_date - first_date)::integer as day_number,
        views,
        likes,
        comments,
        views - previous_views as views_gained,
        regions_listed,
        best_rank,

        -- growth; a one-day growth exists only when the day before was observed
        ln(greatest(views, 1))::double precision as log_views,
        case
            when is_next_day and views > 0 and previous_views > 0
                then ln(views::double precision / previous_views)
        end as log_growth_1d,
        case
            when is_next_day and likes > 0 and previous_likes > 0
                then ln(likes::double precision / previous_likes)
        end as like_growth_1d,
        case
            when is_next_day and comments > 0 and previous_comments > 0
                then ln(comments::double precision / previous_comments)
        end as comment_growth_1d,
        ((views - previous_views) / nullif(hours_since_previous, 0))::double precision
            as views_per_hour,
        case when is_next_day then regions_listed - previous_regions_listed end
            as regions_change_1d,
        case when is_next_day then best_rank - previous_best_rank end as rank_change_1d,

        -- rates
        likes::double precision / nullif(views, 0) as like_rate,
        comments::double precision / nullif(views, 0) as comment_rate,
        case when views >= 100 then (likes + comments)::double precision / views end
            as engagement_rate,

        -- ages
        hours_since_first::double precision as hours_since_first,
        hours_since_previous::double precision as hours_since_previous,
        age_hours::double precision as age_hours,
        ln((1 + age_hours)::double precision) as log_age_hours,
        (views / nullif(age_hours, 0))::double precision as lifetime_views_per_hour,

        -- calendar, in UTC; Monday is 0
        extract(hour from event_at at time zone 'UTC')::integer as observed_hour,
        (extract(isodow from observed_date) - 1)::integer as observed_dow,
        extract(isodow from observed_date) >= 6 as is_weekend,

        -- booleans
        is_synthetic,

        -- times
        published_at,
        event_at,
        known_at as available_at,
        ingested_at,
        {{ as_of() }} as built_as_of,
        {{ build_number() }} as build_number

    from measured

)

select * from computed

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

{#- What is summed over a channel's earlier days. -#}
{%- set sums = [
    ('sights', 'count(*)', none),
    ('videos', 'count(*)', 'day_number = 0'),
    ('second_days', 'count(*)', 'day_number = 1'),
    ('outcomes', 'count(growth_48h)', none),
    ('growth_48h', 'sum(growth_48h)', none),
    ('growth_48h_squared', 'sum(growth_48h ^ 2)', none),
    ('growth_before_48h', 'sum(growth_before_48h)', 'growth_48h is not null'),
    ('weeks', 'count(growth_first_week)', none),
    ('growth_first_week', 'sum(growth_first_week)', none),
    ('steps', 'count(log_growth_1d)', none),
    ('log_growth_1d', 'sum(log_growth_1d)', none),
    ('liked', 'count(like_rate)', 'day_number = 0'),
    ('like_rate', 'sum(like_rate)', 'day_number = 0'),
    ('second_log_views', 'sum(log_views)', 'day_number = 1'),
    ('regions_listed', 'sum(regions_listed)', none)
] %}

with

momentum as (

    select * from {{ ref('int_video_momentum') }}

),

videos as (

    select * from {{ ref('int_videos') }}

),

sequenced as (

    select
        momentum.video_id,
        momentum.observed_date,
        momentum.event_at,
        momentum.available_at,
        momentum.is_synthetic,
        momentum.source,
        momentum.day_number,
        momentum.log_views,
        momentum.log_growth_1d,
        momentum.like_rate,
        momentum.best_rank,
        momentum.regions_listed,
        videos.channel_key,
        coalesce(videos.category_id, 0) as category_id,
        coalesce(split_part(lower(videos.language), '-', 1), 'und') as spoken,
        momentum.log_growth_1d is not null as has_growth,
        momentum.like_rate is not null as has_likes,
        (momentum.available_at at time zone 'UTC')::date as known_date,
        -- What has come of the first two days, on the day that tells.
        case
            when momentum.day_number = 3 then case 1
                when lag(momentum.day_number) over by_video
                    then momentum.log_views - lag(momentum.log_views) over by_video
                when lag(momentum.day_number, 2) over by_video
                    then momentum.log_views - lag(momentum.log_views, 2) over by_video
            end
        end as growth_48h,
        case
            when momentum.day_number = 3 then case 1
                when lag(momentum.day_number) over by_video
                    then lag(momentum.log_growth_1d) over by_video
                when lag(momentum.day_number, 2) over by_video
                    then lag(momentum.log_growth_1d, 2) over by_video
            end
        end as growth_before_48h,
        case
            when momentum.day_number = 7
                then momentum.log_views - first_value(momentum.log_views) over by_video
        end as growth_first_week
    from momentum
    inner join videos on momentum.video_id = videos.video_id
    window by_video as (partition by momentum.video_id order by momentum.observed_date)

),

measured as (

    -- Windows and no joins: of a dozen grouped tables Postgres would expect one row each.
    select
        *,
        max(available_at) over of_day as day_available_at,

        percent_rank() over (
            partition by is_synthetic, source, observed_date, known_date order by log_views
        ) as views_standing,
        percent_rank() over (
            partition by is_synthetic, source, observed_date, known_date, category_id
            order by log_views
        ) as views_standing_in_category,
        percent_rank() over (
            partition by is_synthetic, source, observed_date, known_date, day_number
            order by log_views
        ) as views_standing_of_age,
        percent_rank() over (
            partition by is_synthetic, source, observed_date, known_date, has_growth
            order by log_growth_1d
        ) as growth_standing,
        percent_rank() over (
            partition by
                is_synthetic, source, observed_date, known_date, category_id, has_growth
            order by log_growth_1d
        ) as growth_standing_in_category,
        percent_rank() over (
            partition by
                is_synthetic, source, observed_date, known_date, day_number, has_growth
            order by log_growth_1d
        ) as growth_standing_of_age,
        percent_rank() over (
            partition by is_synthetic, source, observed_date, known_date, has_likes
            order by like_rate
        ) as like_rate_standing,
        percent_rank() over (
            partition by is_synthetic, source, observed_date, known_date, category_id
            order by best_rank
        ) as rank_standing_in_category,

        -- the tide: one source's charts of the day, as far as known on the same day
        count(*) over of_day as day_listed,
        avg(log_growth_1d) over of_day as day_growth,
        avg((day_number = 0)::integer) over of_day as day_share_new,
        count(*) over of_category as category_listed,
        avg(log_growth_1d) over of_category as category_growth,
        stddev_samp(log_growth_1d) over of_category as category_growth_spread,
        avg((day_number = 0)::integer) over of_category as category_share_new,
        avg(log_growth_1d) filter (where day_number = 1) over of_category
            as category_second_day_growth,
        count(*) over of_language as language_listed,
        avg(log_growth_1d) over of_language as language_growth,

        -- the tide of a week, by the days on which things became known
        avg(log_growth_1d) over category_week as category_week_growth,
        sum(growth_48h) over category_week as category_week_growth_48h,
        count(growth_48h) over category_week as category_week_outcomes,
        sum(growth_before_48h) over category_week as category_week_growth_before_48h,
        count(*) filter (where day_number = 3) over category_week as category_week_fourth_days,
        count(*) filter (where day_number = 1) over category_week_before
            as category_week_second_days,

        -- the channel until the day before; this video's part is taken off it below
        {%- for name, measure, condition in sums %}
            {{ measure }} {% if condition %}filter (where {{ condition }}){% endif %}
                over of_channel as of_channel_{{ name }},
            {{ measure }} {% if condition %}filter (where {{ condition }}){% endif %}
                over of_video as of_video_{{ name }},
        {%- endfor %}
        max(known_date) filter (where day_number = 0) over of_channel as of_channel_last_new_date,
        count(*) over (
            partition by is_synthetic, channel_key, observed_date, known_date
        ) as channel_listed
    from sequenced
    window
        of_day as (partition by is_synthetic, source, observed_date, known_date),
        of_category as (
            partition by is_synthetic, source, observed_date, known_date, category_id
        ),
        of_language as (partition by is_synthetic, source, observed_date, known_date, spoken),
        category_week as (
            partition by is_synthetic, source, category_id order by known_date
            range between interval '6 days' preceding and current row
        ),
        category_week_before as (
            partition by is_synthetic, source, category_id order by known_date
            range between interval '8 days' preceding and interval '2 days' preceding
        ),
        of_channel as (
            partition by is_synthetic, channel_key order by known_date
            range between unbounded preceding and interval '1 day' preceding
        ),
        of_video as (
            partition by is_synthetic, channel_key, video_id order by known_date
            range between unbounded preceding and interval '1 day' preceding
        )

),

others as (

    select
        *,
        {%- for name, _, _ in sums %}
            coalesce(of_channel_{{ name }}, 0) - coalesce(of_video_{{ name }}, 0)
                as others_{{ name }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from measured

),

features as (

    select
        video_id,
        event_at,
        day_available_at as available_at,
        is_synthetic,

        day_number as standing_day,

        -- against the other videos of the day
        views_standing,
        views_standing_in_category,
        views_standing_of_age,
        case when has_growth then growth_standing end as growth_standing,
        case when has_growth then growth_standing_in_category end as growth_standing_in_category,
        case when has_growth then growth_standing_of_age end as growth_standing_of_age,
        case when has_likes then like_rate_standing end as like_rate_standing,
        rank_standing_in_category,
        log_growth_1d - category_growth as growth_to_category,

        -- the tide
        day_growth,
        day_share_new::double precision as day_share_new,
        category_growth,
        category_growth_spread,
        category_growth - category_week_growth as category_growth_to_week,
        category_share_new::double precision as category_share_new,
        category_second_day_growth,
        category_listed::double precision / day_listed as category_share,
        category_week_growth_48h / nullif(category_week_outcomes, 0) as category_growth_48h,
        category_week_growth_48h / nullif(category_week_growth_before_48h, 0)
            as category_persistence,
        category_week_fourth_days::double precision / nullif(category_week_second_days, 0)
            as category_stay_share,
        language_growth,
        language_listed::double precision / day_listed as language_share,

        -- the channel's other videos, until the day before
        others_videos::integer as channel_videos,
        channel_listed::integer as channel_listed,
        (known_date - of_channel_last_new_date)::integer as channel_days_since_new,
        others_sights::double precision / nullif(others_videos, 0) as channel_days_listed,
        others_outcomes::integer as channel_outcomes,
        others_growth_48h / nullif(others_outcomes, 0) as channel_growth_48h,
        sqrt(greatest(
            others_growth_48h_squared / nullif(others_outcomes, 0)
            - (others_growth_48h / nullif(others_outcomes, 0)) ^ 2,
            0
        )) as channel_growth_48h_spread,
        (others_growth_48h - others_growth_before_48h) / nullif(others_outcomes, 0)
            as channel_growth_lead,
        others_growth_first_week / nullif(others_weeks, 0) as channel_growth_week,
        others_log_growth_1d / nullif(others_steps, 0) as channel_growth_1d,
        others_like_rate / nullif(others_liked, 0) as channel_like_rate,
        log_views - others_second_log_views / nullif(others_second_days, 0)
            as views_to_channel_second_day,
        others_regions_listed::double precision / nullif(others_sights, 0) as channel_regions,
        others_outcomes::double precision / nullif(others_second_days, 0) as channel_stay_share
    from others

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

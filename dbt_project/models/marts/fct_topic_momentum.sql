{%- set window_days = var('growth_window_days') | int %}

{{ config(
    indexes=[
        {'columns': ['topic_id', 'observed_date'], 'unique': true},
        {'columns': ['observed_date']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

active_items as (

    -- To count hashed groups, step by step, is faster than counting what is distinct on each day.
    select
        topic_id,
        (observed_hour at time zone 'UTC')::date as observed_date,
        source,
        item_id,
        bool_or(is_first) as is_first,
        sum(attention_gained) as attention_gained,
        max(available_at) as available_at
    from {{ ref('int_topic_observations') }}
    group by topic_id, (observed_hour at time zone 'UTC')::date, source, item_id

),

active_sources as (

    select
        topic_id,
        observed_date,
        source,
        count(*) as items,
        count(*) filter (where is_first) as items_new,
        sum(attention_gained) as attention_gained,
        max(available_at) as available_at
    from active_items
    group by topic_id, observed_date, source

),

active_days as (

    select
        topic_id,
        observed_date,
        sum(items)::bigint as items,
        sum(items_new)::bigint as items_new,
        count(*) as sources,
        sum(attention_gained) filter (where source = 'youtube') as views_gained,
        max(available_at) as available_at
    from active_sources
    group by topic_id, observed_date

),

spans as (

    -- Silence is data too, until the windows that saw the topic last have run out.
    select
        topic_id,
        min(observed_date) as first_date,
        least(
            max(observed_date) + {{ 2 * window_days }},
            ({{ as_of() }} at time zone 'UTC')::date
        ) as last_date
    from active_days
    group by topic_id

),

days as (

    select
        spans.topic_id,
        spans.first_date,
        day.observed_at::date as observed_date
    from spans
    cross join
        lateral generate_series(spans.first_date::timestamp, spans.last_date, interval '1 day')
            as day (observed_at)

),

dense as (

    select
        days.topic_id,
        days.observed_date,
        days.observed_date - days.first_date as age_days,
        coalesce(active_days.items, 0) as items,
        coalesce(active_days.items_new, 0) as items_new,
        coalesce(active_days.sources, 0) as sources,
        active_days.views_gained,
        active_days.available_at
    from days
    left join active_days
        on days.topic_id = active_days.topic_id and days.observed_date = active_days.observed_date

),

windowed as (

    select
        *,
        sum(items) over this_window as items_window,
        sum(items) over window_before as items_before,
        sum(items_new) over this_window as items_new_window,
        sum(items_new) over so_far as items_so_far,
        sum(views_gained) over this_window as views_window,
        sum(views_gained) over window_before as views_before,
        max(available_at) over so_far as known_at
    from dense
    window
        by_topic as (partition by topic_id order by observed_date),
        so_far as (by_topic rows unbounded preceding),
        this_window as (by_topic rows between {{ window_days - 1 }} preceding and current row),
        window_before as (
            by_topic
            rows between {{ 2 * window_days - 1 }} preceding and {{ window_days }} preceding
        )

),

grown as (

    select
        *,
        -- One is added so that a topic that comes from nothing, or goes there, has a growth too.
        ln((items_window + 1)::double precision / (coalesce(items_before, 0) + 1)) as growth,
        case
            when views_window > 0 and views_before > 0
                then ln((views_window / views_before)::double precision)
        end as views_growth
    from windowed

),

source_starts as (

    select
        topic_id,
        source,
        min(first_event_at) as started_at,
        bool_and(is_synthetic) as is_synthetic
    from {{ ref('int_topic_observations') }}
    group by topic_id, source

),

ranked_starts as (

    select
        *,
        row_number() over (partition by topic_id order by started_at, source) as place
    from source_starts

),

starts as (

    select
        topic_id,
        max(source) filter (where place = 1) as first_source,
        max(started_at) filter (where place = 1) as first_at,
        bool_and(is_synthetic) as is_synthetic,
        max(source) filter (where place = 2) as second_source,
        max(started_at) filter (where place = 2) as second_at,
        max(started_at) filter (where source = 'youtube') as youtube_at,
        min(started_at) filter (where source <> 'youtube') as elsewhere_at,
        extract(
            epoch from max(started_at) filter (where source = 'youtube')
            - min(started_at) filter (where source <> 'youtube')
        )::double precision / 3600 as youtube_lag_hours
    from ranked_starts
    group by topic_id

),

bounded as (

    select
        grown.*,
        (grown.observed_date + 1)::timestamp at time zone 'UTC' as day_end,
        lag(growth, {{ window_days }}) over (partition by topic_id order by observed_date)
            as growth_before
    from grown

),

joined as (

    select
        -- ids
        bounded.topic_id,
        bounded.observed_date,

        -- counts of the day
        bounded.items::integer as items,
        bounded.items_new::integer as items_new,
        bounded.sources::integer as sources,
        bounded.views_gained::bigint as views_gained,

        -- windows of growth_window_days that end with the day
        {{ window_days }} as window_days,
        bounded.items_window::integer as items_window,
        coalesce(bounded.items_before, 0)::integer as items_window_before,
        bounded.growth,
        bounded.growth - coalesce(bounded.growth_before, 0) as acceleration,
        bounded.views_growth,

        -- novelty
        bounded.age_days,
        bounded.items_so_far::integer as items_so_far,
        bounded.items_new_window::double precision / bounded.items_so_far as novelty,

        -- who was first, as far as it had happened by the end of the day
        starts.first_source,
        case when starts.second_at < bounded.day_end then starts.second_source end
            as second_source,
        case
            when starts.second_at < bounded.day_end
                then extract(epoch from starts.second_at - starts.first_at)::double precision / 3600
        end as lead_hours,
        case
            when starts.youtube_at < bounded.day_end and starts.elsewhere_at < bounded.day_end
                then starts.youtube_lag_hours
        end as youtube_lag_hours,

        -- booleans
        bounded.day_end <= {{ as_of() }} as is_complete_day,
        starts.is_synthetic,

        -- times
        bounded.known_at as available_at

    from bounded
    inner join starts on bounded.topic_id = starts.topic_id

)

select * from joined

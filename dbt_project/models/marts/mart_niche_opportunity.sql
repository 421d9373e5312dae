{%- set window_days = var('niche_window_days') | int %}

{{ config(
    indexes=[{'columns': ['niche_id'], 'unique': true}],
    post_hook='analyze {{ this }}'
) }}

with

niches as (

    select * from {{ ref('dim_niche') }}

),

bounds as (

    select
        {{ as_of() }} as as_of,
        {{ as_of() }} - interval '{{ window_days }} days' as window_start,
        {{ as_of() }} - interval '{{ 2 * window_days }} days' as previous_start

),

videos as (

    select
        dim_video.video_id,
        dim_video.channel_key,
        dim_video.duration_s,
        niches.niche_id
    from {{ ref('dim_video') }} as dim_video
    inner join niches on dim_video.niche_id = niches.niche_id

),

recent_days as (

    select
        videos.niche_id,
        videos.channel_key,
        video_days.video_id,
        video_days.day_number,
        video_days.views_gained,
        video_days.is_synthetic,
        video_days.event_at > bounds.window_start as is_in_window
    from {{ ref('int_video_momentum') }} as video_days
    inner join videos on video_days.video_id = videos.video_id
    inner join bounds on video_days.event_at > bounds.previous_start

),

totals as (

    select
        niche_id,
        count(distinct video_id) filter (where is_in_window) as videos_listed,
        count(*) filter (where is_in_window and day_number = 0) as videos_new,
        count(distinct channel_key) filter (where is_in_window) as channels,
        sum(views_gained) filter (where is_in_window) as views_gained,
        sum(views_gained) filter (where not is_in_window) as views_gained_before,
        bool_and(is_synthetic) as is_synthetic
    from recent_days
    group by niche_id

),

channel_gains as (

    select
        niche_id,
        greatest(sum(views_gained), 0) as views_gained
    from recent_days
    where is_in_window and channel_key is not null
    group by niche_id, channel_key

),

concentration as (

    -- Herfindahl's index: the chance that two views of the niche went to the same channel.
    select
        niche_id,
        (sum(views_gained * views_gained) / nullif(sum(views_gained) ^ 2, 0))::double precision
            as concentration
    from channel_gains
    group by niche_id

),

weeks as (

    -- Longer than a Short can be, and seen on both sides of an age of seven days.
    select
        videos.niche_id,
        count(*) as long_videos,
        percentile_cont(0.5) within group (order by lifecycle.views_at_168h) as median_views
    from {{ ref('fct_video_lifecycle') }} as lifecycle
    inner join videos on lifecycle.video_id = videos.video_id
    where videos.duration_s > 180 and lifecycle.views_at_168h is not null
    group by videos.niche_id

),

joined as (

    select
        -- ids
        niches.niche_id,
        niches.category_id,

        -- text
        niches.name,
        niches.api_niche,

        -- demand
        {{ window_days }} as window_days,
        coalesce(totals.views_gained, 0)::bigint as views_gained,
        coalesce(totals.views_gained_before, 0)::bigint as views_gained_before,
        coalesce(totals.views_gained, 0)::double precision / {{ window_days }}
            as demand_views_per_day,

        -- competition
        coalesce(totals.channels, 0)::integer as channels,
        coalesce(totals.videos_listed, 0)::integer as videos_listed,
        coalesce(totals.videos_new, 0)::integer as videos_new,
        totals.views_gained::double precision / nullif(totals.channels, 0) as views_per_channel,
        concentration.concentration,

        -- growth
        case
            when totals.views_gained > 0 and totals.views_gained_before > 0
                then ln((totals.views_gained / totals.views_gained_before)::double precision)
        end as growth,

        -- revenue
        coalesce(weeks.long_videos, 0)::integer as long_videos,
        weeks.median_views as median_views_7d,
        niches.revenue_per_1000_views_usd,
        weeks.median_views * niches.revenue_per_1000_views_usd / 1000
            as assumed_revenue_per_hit_usd,

        -- booleans
        coalesce(totals.is_synthetic, false) as is_synthetic,

        -- times
        bounds.as_of

    from niches
    cross join bounds
    left join totals on niches.niche_id = totals.niche_id
    left join concentration on niches.niche_id = concentration.niche_id
    left join weeks on niches.niche_id = weeks.niche_id

),

complete as (

    select
        *,
        num_nulls(views_per_channel, growth, assumed_revenue_per_hit_usd) = 0 as is_comparable
    from joined

),

ranked as (

    -- A rule of thumb and called one: the mean of three ranks among the niches that have all three.
    select
        *,
        case
            when is_comparable
                then (
                    percent_rank() over (comparable order by views_per_channel)
                    + percent_rank() over (comparable order by growth)
                    + percent_rank() over (comparable order by assumed_revenue_per_hit_usd)
                ) / 3
        end as heuristic_opportunity
    from complete
    window comparable as (partition by is_comparable)

),

renamed as (

    select
        niche_id,
        category_id,
        name,
        api_niche,
        window_days,
        views_gained,
        views_gained_before,
        demand_views_per_day,
        channels,
        videos_listed,
        videos_new,
        views_per_channel,
        concentration,
        growth,
        long_videos,
        median_views_7d,
        revenue_per_1000_views_usd,
        assumed_revenue_per_hit_usd,
        heuristic_opportunity,
        is_synthetic,
        as_of
    from ranked

)

select * from renamed

{#- Rows that have just arrived by COPY have no statistics yet, and the plan would show it. -#}
{{ config(
    pre_hook="analyze {{ source('raw', 'youtube_videos') }}",
    indexes=[{'columns': ['video_id', 'observed_date'], 'unique': true}],
    post_hook='analyze {{ this }}'
) }}

with

observations as (

    -- Only what had happened, and could be known, at `as_of`. An observation without a view count
    -- says nothing about views and is left out, and so is what a search has found: this is about
    -- the charts.
    select
        source,
        region,
        video_id,
        observed_date,
        event_at,
        available_at,
        published_at,
        views,
        likes,
        comments,
        chart_rank,
        regions_listed,
        is_panel,
        is_synthetic
    from {{ ref('stg_youtube__video_observations') }}
    where
        event_at <= {{ as_of() }}
        and available_at <= {{ as_of() }}
        and views is not null
        and source != 'youtube_search'

),

chosen as (

    -- The panel already sums up all regions, so it wins; otherwise the latest sight of the day.
    select distinct on (video_id, observed_date) *
    from observations
    order by
        video_id asc, observed_date asc, is_panel desc, event_at desc,
        views desc, source asc, region asc

),

charts as (

    select
        video_id,
        observed_date,
        count(distinct region) filter (where chart_rank is not null) as regions_listed,
        min(chart_rank) as best_rank,
        max(available_at) as available_at
    from observations
    where not is_panel
    group by video_id, observed_date

),

joined as (

    select
        -- ids
        chosen.video_id,
        chosen.observed_date,
        chosen.source,
        chosen.region,

        -- numbers
        chosen.views,
        chosen.likes,
        chosen.comments,
        (case
            when chosen.is_panel then coalesce(chosen.regions_listed, 1)
            else charts.regions_listed
        end)::integer as regions_listed,
        case
            when chosen.is_panel then chosen.chart_rank
            else charts.best_rank
        end as best_rank,

        -- booleans
        chosen.is_panel,
        chosen.is_synthetic,

        -- times
        chosen.published_at,
        chosen.event_at,
        -- The chart figures of a day are only known when its last row is.
        case
            when chosen.is_panel then chosen.available_at
            else charts.available_at
        end as available_at

    from chosen
    left join charts
        on
            chosen.video_id = charts.video_id
            and chosen.observed_date = charts.observed_date

)

select * from joined

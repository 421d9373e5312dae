{#- Rows that have just arrived by COPY have no statistics yet, and the plan would show it. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['video_id', 'observed_date'],
    on_schema_change='append_new_columns',
    pre_hook=[
        "analyze {{ source('raw', 'youtube_videos') }}",
        "{{ next_build() }}",
        "{{ forget_later_builds() }}"
    ],
    indexes=[
        {'columns': ['video_id', 'observed_date'], 'unique': true},
        {'columns': ['ingested_at']},
        {'columns': ['built_as_of']},
        {'columns': ['build_number']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

{% if continues() %}
    changed as (

        select
            video_id,
            observed_date,
            ingested_at
        from {{ ref('stg_youtube__video_observations') }}
        where
            event_at <= {{ as_of() }}
            and available_at <= {{ as_of() }}
            and views is not null
            and source != 'youtube_search'
            and {{ is_changed() }}

    ),

    touched as (

        -- A day is made of all its sights, so all of them are read again; but not those of a day
        -- that was only looked at again and holds what it held.
        select
            video_id,
            observed_date
        from (
            select
                video_id,
                observed_date,
                count(*) as sights,
                max(ingested_at) as ingested_at
            from changed
            group by video_id, observed_date

            except

            select
                video_id,
                observed_date,
                sights,
                ingested_at
            from {{ this }}
            where observed_date >= (select min(observed_date) from changed)
        ) as differing

    ),
{% endif %}

observations as (

    -- Only what had happened, and could be known, at `as_of`. An observation without a view count
    -- says nothing about views and is left out, and so is what a search has found: this is about
    -- the charts.
    select
        sights.source,
        sights.region,
        sights.video_id,
        sights.channel_id,
        sights.channel_title,
        sights.observed_date,
        sights.event_at,
        sights.available_at,
        sights.ingested_at,
        sights.published_at,
        sights.views,
        sights.likes,
        sights.comments,
        sights.chart_rank,
        sights.regions_listed,
        sights.is_panel,
        sights.is_synthetic
    from {{ ref('stg_youtube__video_observations') }} as sights
    {% if continues() %}
        inner join touched
            on
                sights.video_id = touched.video_id
                and sights.observed_date = touched.observed_date
    {% endif %}
    where
        sights.event_at <= {{ as_of() }}
        and sights.available_at <= {{ as_of() }}
        and sights.views is not null
        and sights.source != 'youtube_search'
        {% if continues() %}
            and sights.event_at >= (
                select min(days.observed_date)::timestamp at time zone 'UTC' from touched as days
            )
        {% endif %}

),

chosen as (

    -- The panel already sums up all regions, so it wins; otherwise the latest sight of the day.
    select distinct on (video_id, observed_date)
        *,
        count(*) over by_day as sights,
        max(ingested_at) over by_day as last_ingested_at
    from observations
    window by_day as (partition by video_id, observed_date)
    order by
        video_id asc, observed_date asc, is_panel desc, event_at desc,
        views desc, source asc, region asc

),

charts as (

    select
        video_id,
        observed_date,
        -- A row without a place may come from a list of ids; in this archive it is from a chart.
        count(distinct region) filter (
            where chart_rank is not null or source = 'youtube-trending'
        ) as regions_listed,
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
        chosen.channel_id,

        -- text
        chosen.channel_title,

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
        chosen.sights::integer as sights,

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
        end as available_at,
        chosen.last_ingested_at as ingested_at,
        {{ as_of() }} as built_as_of,
        {{ build_number() }} as build_number

    from chosen
    left join charts
        on
            chosen.video_id = charts.video_id
            and chosen.observed_date = charts.observed_date

)

select * from joined

{#- Rows that have just arrived by COPY have no statistics yet, and the plan would show it. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['source', 'content_id', 'region', 'observed_hour'],
    on_schema_change='append_new_columns',
    pre_hook=[
        "analyze {{ source('raw', 'records') }}",
        "{{ next_build() }}",
        "{{ forget_later_builds() }}"
    ],
    indexes=[
        {'columns': ['source', 'content_id', 'region', 'observed_hour'], 'unique': true},
        {'columns': ['content_type', 'item_id']},
        {'columns': ['observed_hour']},
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
            'youtube' as source,
            region,
            video_id as content_id,
            date_trunc('hour', event_at, 'UTC') as observed_hour,
            ingested_at
        from {{ ref('stg_youtube__video_observations') }}
        where event_at <= {{ as_of() }} and available_at <= {{ as_of() }} and {{ is_changed() }}

        union all

        select
            source,
            region,
            content_id,
            date_trunc('hour', event_at, 'UTC') as observed_hour,
            ingested_at
        from {{ ref('stg_records__posts') }}
        where
            event_at <= {{ as_of() }}
            and available_at <= {{ as_of() }}
            and {{ is_changed() }}
            -- Says no more than that, but of the raw row, so that its index finds it.
            and {{ is_changed('last_available_at') }}

    ),

    touched as (

        -- An hour is made of all its sights, so all of them are read again; but not those of an
        -- hour that was only looked at again and holds what it held.
        select
            source,
            region,
            content_id,
            observed_hour
        from (
            select
                source,
                region,
                content_id,
                observed_hour,
                count(*) as sights,
                max(ingested_at) as ingested_at
            from changed
            group by source, region, content_id, observed_hour

            except

            select
                source,
                region,
                content_id,
                observed_hour,
                sights,
                ingested_at
            from {{ this }}
            where observed_hour >= (select min(observed_hour) from changed)
        ) as differing

    ),
{% endif %}

videos as (

    select
        'youtube' as source,
        region,
        video_id as content_id,
        language,
        case when views is not null then 'views' end as measure,
        views::double precision as attention,
        chart_rank as place,
        is_synthetic,
        event_at,
        available_at,
        ingested_at
    from {{ ref('stg_youtube__video_observations') }}
    where
        event_at <= {{ as_of() }}
        and available_at <= {{ as_of() }}
        {% if continues() %}
            and event_at >= (select min(observed_hour) from touched)
        {% endif %}

),

posts as (

    select
        source,
        region,
        content_id,
        language,
        measure,
        case when measure is not null then interest end::double precision as attention,
        place::integer as place,
        is_synthetic,
        event_at,
        available_at,
        ingested_at
    from {{ ref('stg_records__posts') }}
    where
        event_at <= {{ as_of() }}
        and available_at <= {{ as_of() }}
        {% if continues() %}
            and event_at >= (select min(observed_hour) from touched)
        {% endif %}

),

sights as (

    select
        unified.*,
        date_trunc('hour', unified.event_at, 'UTC') as observed_hour
    from (
        select * from videos
        union all
        select * from posts
    ) as unified

),

relevant as (

    select sights.*
    from sights
    {% if continues() %}
        inner join touched
            on
                sights.source = touched.source
                and sights.content_id = touched.content_id
                and sights.region = touched.region
                and sights.observed_hour = touched.observed_hour
    {% endif %}

),

chosen as (

    -- The last sight that counts something; a row that only describes comes after it.
    select distinct on (source, content_id, region, observed_hour)
        source,
        content_id,
        region,
        observed_hour,
        measure,
        attention,
        event_at,
        max(language) over by_hour as language,
        min(place) over by_hour as best_place,
        count(*) over by_hour as sights,
        bool_and(is_synthetic) over by_hour as is_synthetic,
        min(event_at) over by_hour as first_event_at,
        max(available_at) over by_hour as available_at,
        max(ingested_at) over by_hour as ingested_at
    from relevant
    window by_hour as (partition by source, content_id, region, observed_hour)
    order by
        source asc, content_id asc, region asc, observed_hour asc,
        (attention is null) asc, event_at desc, attention desc, measure asc

),

renamed as (

    select
        -- ids, the last two as int_topic_items names an item
        source,
        content_id,
        region,
        observed_hour,
        case
            when source = 'youtube' then 'video'
            when source = 'hackernews' then 'story'
            else 'post'
        end as content_type,
        case
            when source in ('youtube', 'hackernews') then content_id
            else source || ':' || content_id
        end as item_id,

        -- text
        measure,
        language,

        -- numbers
        attention,
        best_place,
        sights::integer as sights,

        -- booleans
        is_synthetic,

        -- times
        first_event_at,
        event_at,
        available_at,
        ingested_at,
        {{ as_of() }} as built_as_of,
        {{ build_number() }} as build_number

    from chosen

)

select * from renamed

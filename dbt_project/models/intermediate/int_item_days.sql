{#- An increment reads an item of a region again, with all its days, where one of its hours was read
    again. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['region', 'content_type', 'item_id', 'observed_date'],
    on_schema_change='append_new_columns',
    pre_hook=["{{ next_build() }}", "{{ forget_later_builds() }}"],
    indexes=[
        {'columns': ['content_type', 'item_id', 'region', 'observed_date'], 'unique': true},
        {'columns': ['ingested_at']},
        {'columns': ['built_as_of']},
        {'columns': ['build_number']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

{% if continues() %}
    touched as (

        select distinct
            region,
            content_type,
            item_id
        from {{ ref('int_observations') }}
        where region <> 'ZZ' and {{ is_rewritten() }}

    ),
{% endif %}

observations as (

    -- A list of all countries names no viewers.
    select
        observations.region,
        observations.content_type,
        observations.item_id,
        observations.language,
        observations.best_place,
        observations.sights,
        observations.is_synthetic,
        observations.available_at,
        observations.ingested_at,
        (observations.observed_hour at time zone 'UTC')::date as observed_date
    from {{ ref('int_observations') }} as observations
    {% if continues() %}
        inner join touched
            on
                observations.region = touched.region
                and observations.content_type = touched.content_type
                and observations.item_id = touched.item_id
    {% endif %}
    where observations.region <> 'ZZ'

),

days as (

    select
        region,
        content_type,
        item_id,
        observed_date,
        count(*)::integer as hours_shown,
        min(best_place) as best_place,
        max(language) as language,
        sum(sights)::integer as sights,
        bool_and(is_synthetic) as is_synthetic,
        max(available_at) as available_at,
        max(ingested_at) as ingested_at
    from observations
    group by region, content_type, item_id, observed_date

),

renamed as (

    select
        -- ids
        region,
        content_type,
        item_id,
        observed_date,

        -- text
        language,

        -- numbers
        hours_shown,
        best_place,
        sights,

        -- booleans
        row_number() over (partition by region, content_type, item_id order by observed_date) = 1
            as is_first,
        is_synthetic,

        -- times
        available_at,
        ingested_at,
        {{ as_of() }} as built_as_of,
        {{ build_number() }} as build_number

    from days

)

select * from renamed

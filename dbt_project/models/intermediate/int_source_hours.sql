{#- An increment counts an hour of a source again where an item of it was read again. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['source', 'observed_hour'],
    on_schema_change='append_new_columns',
    pre_hook=["{{ next_build() }}", "{{ forget_later_builds() }}"],
    indexes=[{'columns': ['source', 'observed_hour'], 'unique': true}],
    post_hook='analyze {{ this }}'
) }}

with

{% if continues() %}
    touched as (

        select distinct
            source,
            observed_hour
        from {{ ref('int_observations') }}
        where {{ is_rewritten() }}

    ),
{% endif %}

items as (

    -- Lists of several regions show the same item: it is counted once.
    select
        observations.source,
        observations.content_id,
        observations.observed_hour,
        max(observations.attention) as attention,
        max(observations.available_at) as available_at,
        max(observations.ingested_at) as ingested_at
    from {{ ref('int_observations') }} as observations
    {% if continues() %}
        inner join touched
            on
                observations.source = touched.source
                and observations.observed_hour = touched.observed_hour
    {% endif %}
    group by observations.source, observations.content_id, observations.observed_hour

),

hours as (

    select
        source,
        observed_hour,
        count(*)::integer as items,
        sum(attention) as attention,
        max(available_at) as available_at,
        max(ingested_at) as ingested_at,
        {{ as_of() }} as built_as_of,
        {{ build_number() }} as build_number
    from items
    group by source, observed_hour

)

select * from hours

{#- An increment reads an item again, with all its hours, where it has been seen since or has come
    to another topic; items that have lost their topic go. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['content_type', 'item_id', 'source', 'observed_hour'],
    on_schema_change='append_new_columns',
    pre_hook=[
        "{{ next_build() }}",
        "{{ forget_later_builds() }}",
        "{{ forget_items_without_a_topic() }}"
    ],
    indexes=[
        {'columns': ['content_type', 'item_id', 'source', 'observed_hour'], 'unique': true},
        {'columns': ['topic_id', 'observed_hour']},
        {'columns': ['ingested_at']},
        {'columns': ['built_as_of']},
        {'columns': ['build_number']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

{# Both tables are read where they are used: a CTE that is used twice is written to disk first. -#}
{% if continues() %}
    placed as (

        -- The topic under which the hours of an item are stored: one, as they are written together.
        select distinct
            content_type,
            item_id,
            topic_id
        from {{ this }}

    ),

    touched as (

        select
            content_type,
            item_id
        from {{ ref('int_observations') }}
        where {{ is_rewritten() }}

        union

        select
            topic_items.content_type,
            topic_items.content_id as item_id
        from {{ ref('int_topic_items') }} as topic_items
        left join placed
            on
                topic_items.content_type = placed.content_type
                and topic_items.content_id = placed.item_id
        where topic_items.topic_id is distinct from placed.topic_id

    ),
{% endif %}

hours as (

    -- Lists of several regions show the same item: it is counted once.
    select
        topic_items.topic_id,
        observations.source,
        observations.content_type,
        observations.item_id,
        observations.observed_hour,
        max(observations.measure) as measure,
        max(observations.attention) as attention,
        min(observations.best_place) as best_place,
        sum(observations.sights)::integer as sights,
        bool_and(observations.is_synthetic) as is_synthetic,
        min(observations.first_event_at) as first_event_at,
        max(observations.available_at) as available_at,
        max(observations.ingested_at) as ingested_at
    from {{ ref('int_observations') }} as observations
    inner join {{ ref('int_topic_items') }} as topic_items
        on
            observations.content_type = topic_items.content_type
            and observations.item_id = topic_items.content_id
    {% if continues() %}
        inner join touched
            on
                observations.content_type = touched.content_type
                and observations.item_id = touched.item_id
    {% endif %}
    group by
        topic_items.topic_id, observations.source, observations.content_type,
        observations.item_id, observations.observed_hour

),

compared as (

    select
        *,
        row_number() over by_item = 1 as is_first,
        case
            when lag(measure) over by_item = measure then attention - lag(attention) over by_item
        end as attention_gained,
        {{ as_of() }} as built_as_of,
        {{ build_number() }} as build_number
    from hours
    window by_item as (partition by source, item_id order by observed_hour)

)

select * from compared

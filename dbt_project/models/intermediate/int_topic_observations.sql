{{ config(
    indexes=[{'columns': ['topic_id', 'observed_hour']}],
    post_hook='analyze {{ this }}'
) }}

with

observations as (

    select * from {{ ref('int_observations') }}

),

topic_items as (

    select * from {{ ref('int_topic_items') }}

),

hours as (

    -- Lists of several regions show the same item: it is counted once.
    select
        topic_items.topic_id,
        observations.source,
        observations.item_id,
        observations.observed_hour,
        max(observations.measure) as measure,
        max(observations.attention) as attention,
        min(observations.best_place) as best_place,
        sum(observations.sights)::integer as sights,
        bool_and(observations.is_synthetic) as is_synthetic,
        min(observations.first_event_at) as first_event_at,
        max(observations.available_at) as available_at
    from observations
    inner join topic_items
        on
            observations.content_type = topic_items.content_type
            and observations.item_id = topic_items.content_id
    group by
        topic_items.topic_id, observations.source, observations.item_id, observations.observed_hour

),

compared as (

    select
        *,
        row_number() over by_item = 1 as is_first,
        case
            when lag(measure) over by_item = measure then attention - lag(attention) over by_item
        end as attention_gained
    from hours
    window by_item as (partition by source, item_id order by observed_hour)

)

select * from compared

{{ config(
    indexes=[
        {'columns': ['topic_id', 'source', 'observed_hour'], 'unique': true},
        {'columns': ['observed_hour']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

observations as (

    select * from {{ ref('int_topic_observations') }}

),

source_hours as (

    select * from {{ ref('int_source_hours') }}

),

topic_hours as (

    select
        topic_id,
        source,
        observed_hour,
        max(measure) as measure,
        count(*) filter (where is_first) as items_new,
        count(*) as items,
        sum(sights) as sights,
        sum(attention) as attention,
        sum(attention_gained) as attention_gained,
        min(best_place) as best_place,
        bool_and(is_synthetic) as is_synthetic,
        max(available_at) as available_at
    from observations
    group by topic_id, source, observed_hour

),

joined as (

    select
        -- ids
        topic_hours.topic_id,
        topic_hours.source,
        topic_hours.observed_hour,

        -- text
        topic_hours.measure,

        -- counts
        topic_hours.items_new::integer as items_new,
        topic_hours.items::integer as items,
        topic_hours.sights::integer as sights,
        source_hours.items as source_items,

        -- attention, comparable only within a source
        topic_hours.attention,
        topic_hours.attention_gained,
        topic_hours.best_place,

        -- shares, comparable over sources
        topic_hours.items::double precision / source_hours.items as item_share,
        topic_hours.attention / nullif(source_hours.attention, 0) as attention_share,

        -- booleans
        topic_hours.is_synthetic,

        -- times
        topic_hours.available_at

    from topic_hours
    inner join source_hours
        on
            topic_hours.source = source_hours.source
            and topic_hours.observed_hour = source_hours.observed_hour

)

select * from joined

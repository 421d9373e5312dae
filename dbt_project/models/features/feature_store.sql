{{ config(materialized='view', schema='ml') }}

{%- set keys = "array['video_id', 'event_at', 'available_at', 'is_synthetic']" %}

with

momentum as (

    select distinct on (video_id) *
    from {{ ref('video_momentum') }}
    order by video_id asc, event_at desc

),

profiles as (

    select * from {{ ref('video_profile') }}

),

feature_rows as (

    select
        video_id,
        event_at,
        available_at,
        is_synthetic,
        to_jsonb(momentum) - {{ keys }} as feature_values
    from momentum

    union all

    select
        video_id,
        event_at,
        available_at,
        is_synthetic,
        to_jsonb(profiles) - {{ keys }} as feature_values
    from profiles

),

unpivoted as (

    select
        md5('video/' || feature_rows.video_id || '/' || feature.name)::uuid as id,
        feature_rows.video_id as entity_id,
        'video' as entity_type,
        feature.name as feature_name,
        feature.value as feature_value,
        1 as feature_version,
        feature_rows.available_at as computed_at,
        jsonb_build_object(
            'event_at', feature_rows.event_at, 'is_synthetic', feature_rows.is_synthetic
        ) as metadata
    from feature_rows
    cross join lateral jsonb_each(feature_rows.feature_values) as feature (name, value)
    where feature.value <> 'null'::jsonb

)

select * from unpivoted

{{ config(materialized='view', schema='ml') }}

{%- set keys = "array['video_id', 'event_at', 'available_at', 'is_synthetic']" %}
{%- set daily = ['video_momentum', 'video_dynamics', 'video_standing'] %}
{%- set lasting = ['video_profile', 'video_text'] %}

with

{% for name in daily %}
    {{ name }}_rows as (

        select distinct on (video_id) *
        from {{ ref(name) }}
        order by video_id asc, event_at desc

    ),

{% endfor %}
{%- for name in lasting %}
    {{ name }}_rows as (

        select * from {{ ref(name) }}

    ),

{% endfor %}
feature_rows as (

    {% for name in daily + lasting %}
        select
            video_id,
            event_at,
            available_at,
            is_synthetic,
            to_jsonb({{ name }}_rows) - {{ keys }} as feature_values
        from {{ name }}_rows
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

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

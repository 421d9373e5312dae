{%- set attributes = ['title', 'handle', 'country', 'size_tier'] -%}

{{ config(
    indexes=[{'columns': ['channel_key', 'valid_from'], 'unique': true}],
    post_hook='analyze {{ this }}'
) }}

with

channel_days as (

    select * from {{ ref('int_channel_days') }}

),

numbered as (

    -- An attribute keeps its value until another one is seen: the n-th known value of it holds on
    -- all days that have n known values behind them.
    select
        {%- for name in attributes %}
            count({{ name }}) over by_channel as {{ name }}_number,
        {%- endfor %}
        channel_days.*
    from channel_days
    window by_channel as (partition by channel_key order by observed_date)

),

filled as (

    select
        channel_key,
        channel_id,
        observed_date,
        subscribers,
        videos,
        views,
        is_synthetic,
        event_at,
        {%- for name in attributes %}
            max({{ name }}) over (partition by channel_key, {{ name }}_number) as {{ name }},
        {%- endfor %}
        available_at
    from numbered

),

compared as (

    -- To learn an attribute for the first time is no change of it.
    select
        *,
        greatest(
            {%- for name in attributes %}
                ({{ name }} <> lag({{ name }}) over by_channel)::integer,
            {%- endfor %}
            0
        ) as is_change
    from filled
    window by_channel as (partition by channel_key order by observed_date)

),

versions as (

    select
        *,
        sum(is_change) over (partition by channel_key order by observed_date) + 1 as version
    from compared

),

aggregated as (

    select
        channel_key,
        max(channel_id) as channel_id,
        version::integer as version,
        {%- for name in attributes %}
            max({{ name }}) as {{ name }},
        {%- endfor %}
        (
            array_agg(subscribers order by observed_date desc)
            filter (where subscribers is not null)
        )[1] as subscribers,
        (array_agg(videos order by observed_date desc) filter (where videos is not null))[1]
            as videos,
        (array_agg(views order by observed_date desc) filter (where views is not null))[1] as views,
        count(*)::integer as days_observed,
        bool_and(is_synthetic) as is_synthetic,
        min(event_at) as valid_from,
        max(event_at) as last_seen_at,
        min(available_at) as available_at
    from versions
    group by channel_key, version

),

bounded as (

    select
        *,
        lead(valid_from) over (partition by channel_key order by version) as valid_to
    from aggregated

)

select * from bounded

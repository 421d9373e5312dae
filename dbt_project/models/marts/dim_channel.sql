{{ config(
    indexes=[
        {'columns': ['channel_key', 'valid_from'], 'unique': true},
        {'columns': ['channel_id']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

observed as (

    select * from {{ ref('int_channel_versions') }}

),

first_observed as (

    select
        channel_key,
        min(valid_from) as valid_from
    from observed
    group by channel_key

),

remembered as (

    -- What only the snapshot still knows: versions from before the raw rows that are left. While
    -- nothing of them is deleted there are none, and the history is the observations' own.
    select states.*
    from {{ ref('channel_states') }} as states
    left join first_observed on states.channel_key = first_observed.channel_key
    where
        states.valid_from <= {{ as_of() }}
        and states.available_at <= {{ as_of() }}
        and (first_observed.valid_from is null or states.valid_from < first_observed.valid_from)

),

united as (

    select
        channel_key,
        channel_id,
        title,
        handle,
        country,
        size_tier,
        subscribers,
        videos,
        views,
        days_observed,
        is_synthetic,
        valid_from,
        last_seen_at,
        available_at,
        'observations' as known_from
    from observed

    union all

    select
        channel_key,
        channel_id,
        title,
        handle,
        country,
        size_tier,
        subscribers,
        videos,
        views,
        null::integer as days_observed,
        is_synthetic,
        valid_from,
        null::timestamptz as last_seen_at,
        available_at,
        'snapshot' as known_from
    from remembered

),

versions as (

    select
        *,
        row_number() over by_channel as version,
        lead(valid_from) over by_channel as valid_to
    from united
    window by_channel as (partition by channel_key order by valid_from)

),

renamed as (

    select
        -- ids
        md5(channel_key || '@' || extract(epoch from valid_from)::text) as channel_version_id,
        channel_key,
        channel_id,
        version::integer as version,

        -- text
        title,
        handle,
        country,
        size_tier,
        known_from,

        -- numbers
        subscribers,
        videos,
        views,
        days_observed,

        -- booleans
        valid_to is null as is_current,
        is_synthetic,

        -- times
        valid_from,
        valid_to,
        last_seen_at,
        available_at

    from versions

)

select * from renamed

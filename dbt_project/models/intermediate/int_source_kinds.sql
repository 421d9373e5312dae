with

dated_records as (

    select
        source,
        kind,
        is_synthetic,
        -- Entries of feeds that say no date stand at the epoch: they were seen when found.
        coalesce(nullif(event_at, 'epoch'::timestamptz), available_at) as seen_at
    from {{ source('raw', 'records') }}
    where event_at <= {{ as_of() }} and available_at <= {{ as_of() }}

),

raw_records as (

    select
        source,
        kind,
        count(*) as row_count,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        bool_and(is_synthetic) as is_synthetic
    from dated_records
    group by source, kind

),

raw_videos as (

    select
        source,
        'video' as kind,
        count(*) as row_count,
        min(observed_at) as first_seen_at,
        max(observed_at) as last_seen_at,
        bool_and(is_synthetic) as is_synthetic
    from {{ source('raw', 'youtube_videos') }}
    where observed_at <= {{ as_of() }} and available_at <= {{ as_of() }}
    group by source

),

unioned as (

    select * from raw_records

    union all

    select * from raw_videos

)

select * from unioned

{{ config(indexes=[{'columns': ['source_id'], 'unique': true}]) }}

with

kinds as (

    select * from {{ ref('int_source_kinds') }}

),

landings as (

    select * from {{ ref('stg_ops__landings') }}
    -- Where "now" is the last observation, the interval that it lies in ends later.
    where interval_end <= {{ as_of() }} + interval '1 day'

),

checks as (

    select * from {{ ref('stg_ops__source_checks') }}

),

loaded as (

    select
        source,
        array_agg(kind order by kind) as kinds,
        sum(row_count)::bigint as row_count,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        bool_and(is_synthetic) as is_synthetic
    from kinds
    group by source

),

landed as (

    select
        source,
        count(*) filter (where status = 'landed') as landings,
        count(*) filter (where status = 'empty') as empty_landings,
        sum(rows_rejected)::bigint as rows_rejected,
        max(interval_end) filter (where status = 'landed') as landed_until
    from landings
    group by source

),

last_landings as (

    select distinct on (source)
        source,
        family,
        status,
        reason
    from landings
    order by source asc, interval_end desc, landed_at desc, run_id desc, interval_start desc

),

source_ids as (

    select source from loaded

    union distinct

    select source from landed

    union distinct

    select source from checks

),

joined as (

    select
        -- ids
        source_ids.source as source_id,
        last_landings.family,
        coalesce(loaded.kinds, array[]::text[]) as kinds,

        -- numbers
        coalesce(loaded.row_count, 0) as row_count,
        coalesce(landed.landings, 0) as landings,
        coalesce(landed.empty_landings, 0) as empty_landings,
        coalesce(landed.rows_rejected, 0) as rows_rejected,
        (extract(epoch from {{ as_of() }} - loaded.last_seen_at) / 3600)::double precision
            as hours_silent,

        -- text
        last_landings.status as last_status,
        nullif(last_landings.reason, '') as last_reason,
        checks.detail as check_detail,

        -- booleans
        coalesce(checks.verified_at is not null, false) as is_verified,
        loaded.is_synthetic,

        -- times
        loaded.first_seen_at,
        loaded.last_seen_at,
        landed.landed_until,
        checks.checked_at,
        checks.verified_at

    from source_ids
    left join loaded on source_ids.source = loaded.source
    left join landed on source_ids.source = landed.source
    left join last_landings on source_ids.source = last_landings.source
    left join checks on source_ids.source = checks.source

)

select * from joined

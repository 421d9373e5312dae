{{ config(indexes=[{'columns': ['provider', 'pool'], 'unique': true}]) }}

{%- set mean_days = 7 %}
{%- set trend_days = 28 %}

with

quota_days as (

    select * from {{ ref('stg_ops__quota_days') }}
    -- The day that it is at `as_of` where the day begins first.
    where quota_date <= (({{ as_of() }} + interval '14 hours') at time zone 'UTC')::date

),

latest as (

    select distinct on (provider, pool)
        provider,
        pool,
        quota_date,
        used,
        quota,
        least(
            {{ trend_days - 1 }}, quota_date - min(quota_date) over (partition by provider, pool)
        ) as days_before
    from quota_days
    order by provider asc, pool asc, quota_date desc

),

calendar as (

    -- A day without a row is one on which nothing was spent.
    select
        latest.provider,
        latest.pool,
        latest.quota_date - day_offset as quota_date,
        day_offset,
        coalesce(quota_days.used, 0) as used
    from latest
    cross join lateral generate_series(0, latest.days_before) as day_offset
    left join quota_days
        on
            latest.provider = quota_days.provider
            and latest.pool = quota_days.pool
            and latest.quota_date - day_offset = quota_days.quota_date

),

usage as (

    select
        provider,
        pool,
        count(*) as days_known,
        (avg(used) filter (where day_offset < {{ mean_days }}))::double precision
            as mean_daily_use_7d,
        max(used) as peak_daily_use_28d,
        case
            when count(*) >= {{ mean_days }}
                then regr_slope(used::double precision, -day_offset::double precision)
        end as use_growth_per_day
    from calendar
    group by provider, pool

),

joined as (

    select
        -- ids
        latest.provider,
        latest.pool,

        -- the newest day
        latest.quota_date,
        latest.quota,
        latest.used,
        latest.quota - latest.used as units_left,
        latest.used::double precision / nullif(latest.quota, 0) as used_share,

        -- the days before
        usage.days_known,
        usage.mean_daily_use_7d,
        usage.peak_daily_use_28d,
        usage.use_growth_per_day,

        -- headroom
        (latest.quota - latest.used) / nullif(usage.mean_daily_use_7d, 0) as days_left,
        case
            when usage.mean_daily_use_7d >= latest.quota then 0
            when usage.use_growth_per_day > 0
                then (latest.quota - usage.mean_daily_use_7d) / usage.use_growth_per_day
        end as days_until_limit

    from latest
    inner join usage
        on
            latest.provider = usage.provider
            and latest.pool = usage.pool

)

select * from joined

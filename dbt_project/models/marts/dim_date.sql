{{ config(indexes=[{'columns': ['date_day'], 'unique': true}]) }}

with

-- The days of the data, and the days on which the platform worked on them: two clocks where an
-- archive or the simulated world is what there is.
bounds as (

    select
        min(first_seen_at) as first_at,
        max(last_seen_at) as last_at
    from {{ ref('int_source_kinds') }}

    union all

    select
        min(coalesce(started_at, queued_at, ended_at)) as first_at,
        max(coalesce(ended_at, started_at, queued_at)) as last_at
    from {{ ref('stg_ops__dag_runs') }}

    union all

    select
        min(checked_at) as first_at,
        max(checked_at) as last_at
    from {{ ref('stg_ops__gate_results') }}

    union all

    select
        min(planned_as_of) as first_at,
        max(planned_as_of) as last_at
    from {{ ref('stg_content__scheduled_videos') }}

    union all

    select
        min(first_cost_at) as first_at,
        max(last_cost_at) as last_at
    from {{ ref('int_costs') }}

),

span as (

    select
        (min(first_at) at time zone 'UTC')::date as first_date,
        (max(last_at) at time zone 'UTC')::date as last_date
    from bounds

),

days as (

    select (span.first_date + day_offset)::date as date_day
    from span
    cross join lateral generate_series(0, span.last_date - span.first_date) as day_offset

),

described as (

    select
        -- ids
        date_day,

        -- longer periods, by their first day
        date_trunc('week', date_day::timestamp)::date as week_start_date,
        date_trunc('month', date_day::timestamp)::date as month_start_date,
        date_trunc('quarter', date_day::timestamp)::date as quarter_start_date,

        -- numbers
        extract(year from date_day)::integer as year_number,
        extract(quarter from date_day)::integer as quarter_number,
        extract(month from date_day)::integer as month_number,
        extract(isoyear from date_day)::integer as iso_year_number,
        extract(week from date_day)::integer as iso_week_number,
        extract(day from date_day)::integer as day_of_month,
        extract(doy from date_day)::integer as day_of_year,
        (extract(isodow from date_day) - 1)::integer as day_of_week,

        -- text
        to_char(date_day, 'FMMonth') as month_name,
        to_char(date_day, 'FMDay') as day_name,

        -- booleans
        extract(isodow from date_day) >= 6 as is_weekend

    from days

)

select * from described

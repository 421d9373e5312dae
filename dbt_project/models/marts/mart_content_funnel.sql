{{ config(indexes=[{'columns': ['channel_id', 'planned_date'], 'unique': true}]) }}

with

videos as (

    select * from {{ ref('int_content_videos') }}

),

counted as (

    select
        -- ids
        channel_id,
        planned_date,

        -- the funnel
        count(*) as videos_scheduled,
        count(*) filter (where is_generated) as videos_generated,
        count(*) filter (where is_gated) as videos_gated,
        count(*) filter (where is_published) as videos_published,
        count(*) filter (where is_performed) as videos_performed,

        -- where the others stand
        count(*) filter (where verdict = 'held') as videos_held,
        count(*) filter (where verdict = 'rejected') as videos_rejected,
        count(*) filter (where status = 'failed') as videos_failed,
        count(*) filter (where status in ('scheduled', 'generating')) as videos_open,

        -- rates
        count(*) filter (where is_published)::double precision
        / nullif(count(*) filter (where is_gated), 0) as pass_rate,
        count(*) filter (where is_published)::double precision / count(*) as publish_rate,
        avg(gate_score::numeric)::double precision as mean_gate_score,

        -- what went in and what came out
        sum(forecast::numeric)::double precision as forecast_views_per_day,
        sum(cost_usd)::numeric(18, 6) as cost_usd,
        sum(seconds::numeric)::double precision as work_seconds,
        sum(views)::bigint as views,
        sum(minutes_watched)::bigint as minutes_watched,
        (1000 * sum(cost_usd) filter (where is_performed) / nullif(sum(views), 0))::numeric(18, 6)
            as cost_per_1000_views_usd,
        percentile_cont(0.5) within group (
            order by extract(epoch from finished_at - planned_at) / 3600
        ) as median_hours_to_finish,

        -- booleans
        bool_or(is_synthetic) as is_synthetic

    from videos
    group by channel_id, planned_date

)

select * from counted

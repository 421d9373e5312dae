with

scheduled as (

    select * from {{ ref('stg_content__scheduled_videos') }}
    where planned_as_of <= {{ as_of() }}

),

finished as (

    select * from {{ ref('stg_content__videos') }}

),

stages as (

    select
        video_id,
        bool_or(stage = 'video') as has_video,
        bool_or(stage = 'gate') as has_gate,
        max(verdict) filter (where stage = 'gate') as gate_verdict
    from {{ ref('stg_content__stages') }}
    group by video_id

),

costs as (

    select
        video_id,
        sum(cost_usd) as cost_usd,
        sum(seconds) as seconds
    from {{ ref('int_costs') }}
    where video_id is not null
    group by video_id

),

performance as (

    select
        video_id,
        count(*) as days,
        sum(views)::bigint as views,
        sum(minutes_watched)::bigint as minutes_watched
    from {{ ref('stg_youtube_analytics__video_days') }}
    where event_at <= {{ as_of() }} and available_at <= {{ as_of() }}
    group by video_id

),

joined as (

    select
        -- ids
        scheduled.video_id,
        scheduled.channel_id,
        scheduled.topic_id,
        (scheduled.planned_as_of at time zone 'UTC')::date as planned_date,

        -- text
        scheduled.status,
        stages.gate_verdict,
        finished.verdict,

        -- numbers
        scheduled.forecast,
        finished.gate_score,
        coalesce(costs.cost_usd, 0)::numeric(18, 6) as cost_usd,
        costs.seconds,
        case when finished.verdict = 'published' then performance.days end as days_measured,
        case when finished.verdict = 'published' then performance.views end as views,
        case when finished.verdict = 'published' then performance.minutes_watched end
            as minutes_watched,

        -- how far it came: whatever reached a step has passed those before it
        coalesce(stages.has_video, false)
        or coalesce(stages.has_gate, false)
        or finished.video_id is not null as is_generated,
        coalesce(stages.has_gate, false) or finished.video_id is not null as is_gated,
        coalesce(finished.verdict = 'published', false) as is_published,
        coalesce(finished.verdict = 'published' and performance.views is not null, false)
            as is_performed,
        scheduled.is_synthetic,

        -- times
        scheduled.planned_at,
        finished.finished_at

    from scheduled
    left join finished on scheduled.video_id = finished.video_id
    left join stages on scheduled.video_id = stages.video_id
    left join costs on scheduled.video_id = costs.video_id
    left join performance on scheduled.video_id = performance.video_id

)

select * from joined

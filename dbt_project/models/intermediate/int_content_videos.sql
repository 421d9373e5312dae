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

publications as (

    -- Reports know a video by the id that it has there.
    select
        video_id,
        external_id
    from {{ ref('stg_content__publications') }}
    where destination = 'youtube' and external_id is not null

),

reported as (

    select
        publications.video_id,
        count(*) as days,
        sum(video_days.views)::bigint as views,
        sum(video_days.minutes_watched)::bigint as minutes_watched
    from {{ ref('stg_youtube_analytics__video_days') }} as video_days
    inner join publications on video_days.video_id = publications.external_id
    where video_days.event_at <= {{ as_of() }} and video_days.available_at <= {{ as_of() }}
    group by publications.video_id

),

counted as (

    select
        video_id,
        max(views) as views
    from {{ ref('stg_content__video_metrics') }}
    where status = 'observed' and observed_at <= {{ as_of() }}
    group by video_id

),

performance as (

    -- Reports come days later than counts, and counts end after a week.
    select
        reported.days,
        reported.minutes_watched,
        coalesce(reported.video_id, counted.video_id) as video_id,
        greatest(reported.views, counted.views) as views
    from reported
    full outer join counted on reported.video_id = counted.video_id

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

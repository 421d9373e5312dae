{{ config(indexes=[{'columns': ['video_id', 'stage', 'provider'], 'unique': true}]) }}

with

costs as (

    select * from {{ ref('int_costs') }}
    where video_id is not null

),

videos as (

    select * from {{ ref('int_content_videos') }}

),

joined as (

    select
        -- ids
        costs.video_id,
        costs.stage,
        costs.provider,
        videos.channel_id,
        videos.topic_id,

        -- numbers
        costs.cost_usd,
        costs.seconds,
        costs.tokens,
        costs.characters,
        (costs.cost_usd / nullif(sum(costs.cost_usd) over by_video, 0))::double precision
            as cost_share,
        costs.seconds / nullif(sum(costs.seconds) over by_video, 0) as seconds_share,

        -- booleans
        coalesce(videos.is_published, false) as is_published,

        -- times
        videos.planned_date,
        (costs.last_cost_at at time zone 'UTC')::date as cost_date,
        costs.first_cost_at,
        costs.last_cost_at

    from costs
    left join videos on costs.video_id = videos.video_id
    window by_video as (partition by costs.video_id)

)

select * from joined

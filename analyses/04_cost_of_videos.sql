/*
title: What does a video cost, stage by stage?
answer: "{stage} with {provider} takes longest: {seconds_per_video:.1f} s and {dollars_per_video:.4f} dollars a video."
chart: {kind: bar, x: seconds_per_video, y: stage}
*/
with

views as (

    select
        sum(views) as views,
        sum(cost_usd) as cost_usd
    from mart_content_funnel

)

select
    mart_video_cost.stage,
    mart_video_cost.provider,
    count(distinct mart_video_cost.video_id) as videos,
    (sum(mart_video_cost.seconds) / count(distinct mart_video_cost.video_id))::float8
        as seconds_per_video,
    (sum(mart_video_cost.cost_usd) / count(distinct mart_video_cost.video_id))::float8
        as dollars_per_video,
    (views.cost_usd * 1000 / nullif(views.views, 0))::float8 as dollars_per_1000_views
from mart_video_cost
cross join views
group by mart_video_cost.stage, mart_video_cost.provider, views.cost_usd, views.views
order by seconds_per_video desc, mart_video_cost.stage

/*
title: Whose videos gained most?
answer: "{channel}: {views_gained:,} views in a week, with {videos} videos on the charts."
chart: {kind: bar, x: views_gained, y: channel}
*/
with

latest as (

    select max(observed_date) as last_date
    from mart_channel_performance

)

select
    coalesce(max(mart_channel_performance.channel_title), mart_channel_performance.channel_key)
        as channel,
    sum(mart_channel_performance.views_gained)::bigint as views_gained,
    max(mart_channel_performance.videos_listed) as videos,
    min(mart_channel_performance.best_rank) as best_rank,
    max(mart_channel_performance.engagement_rate) as engagement_rate
from mart_channel_performance
cross join latest
where mart_channel_performance.observed_date > latest.last_date - 7
group by mart_channel_performance.channel_key
having sum(mart_channel_performance.views_gained) > 0
order by views_gained desc, mart_channel_performance.channel_key
limit 20

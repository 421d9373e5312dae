/*
title: Which niche is worth a channel?
answer: "{niche}: {demand_views_per_day:,.0f} views a day shared by {channels} channels."
chart: {kind: bar, x: heuristic_opportunity, y: niche}
*/
select
    name as niche,
    heuristic_opportunity,
    demand_views_per_day,
    channels,
    videos_new,
    growth,
    median_views_7d,
    assumed_revenue_per_hit_usd
from mart_niche_opportunity
where heuristic_opportunity is not null
order by heuristic_opportunity desc, name

/*
title: How long do hits live?
answer: "Half of the videos of {niche} are gone from the charts after {median_days:.0f} days."
chart: {kind: bar, x: median_days, y: niche}
*/
select
    dim_niche.name as niche,
    count(*) as videos,
    percentile_cont(0.5) within group (order by fct_video_lifecycle.days_on_charts) as median_days,
    percentile_cont(0.9) within group (order by fct_video_lifecycle.days_on_charts) as p90_days,
    percentile_cont(0.5) within group (order by fct_video_lifecycle.hours_to_peak)
        as median_hours_to_peak
from fct_video_lifecycle
inner join dim_video using (video_id)
inner join dim_niche on dim_video.niche_id = dim_niche.niche_id
group by dim_niche.name
having count(*) >= 5
order by median_days desc, dim_niche.name

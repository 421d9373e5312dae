/*
title: At which hour do videos of a niche start best?
answer: "{niche}, published at {hour}:00 UTC: {median_views:,.0f} views after two days in the middle case, of {videos} videos."
chart: {kind: heat, x: hour, y: niche, colour: times_niche_median}
*/
with

videos as (

    select
        dim_niche.name as niche,
        extract(hour from dim_video.published_at at time zone 'UTC')::int as hour,
        fct_video_lifecycle.views_at_48h as views
    from fct_video_lifecycle
    inner join dim_video using (video_id)
    inner join dim_niche on dim_video.niche_id = dim_niche.niche_id
    where fct_video_lifecycle.views_at_48h is not null

),

niches as (

    select
        niche,
        percentile_cont(0.5) within group (order by views) as median_views
    from videos
    group by niche

)

select
    videos.niche,
    videos.hour,
    count(*) as videos,
    percentile_cont(0.5) within group (order by videos.views) as median_views,
    percentile_cont(0.5) within group (order by videos.views)
    / nullif(niches.median_views, 0) as times_niche_median
from videos
inner join niches on videos.niche = niches.niche
group by videos.niche, videos.hour, niches.median_views
having count(*) >= 3
order by times_niche_median desc nulls last, videos.niche, videos.hour

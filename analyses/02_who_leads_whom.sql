/*
title: Who leads whom between sources?
answer: "{first_source} was first before {second_source} in {topics} topics, by {median_hours:.1f} hours in the middle case."
chart: {kind: heat, x: second_source, y: first_source, colour: median_hours}
*/
with

topics as (

    -- A topic's lead is the same on each of its days.
    select distinct on (topic_id)
        topic_id,
        first_source,
        second_source,
        lead_hours
    from fct_topic_momentum
    where second_source is not null
    order by topic_id, observed_date desc

)

select
    first_source,
    second_source,
    count(*) as topics,
    percentile_cont(0.5) within group (order by lead_hours) as median_hours
from topics
group by first_source, second_source
order by topics desc, first_source, second_source

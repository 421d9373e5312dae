/*
title: Which topics are rising this week?
answer: "“{topic}” grew most: {times:.1f} times as many items in its last window as in the one before (each plus one)."
chart: {kind: bar, x: times, y: topic}
*/
with

latest as (

    select max(observed_date) as observed_date
    from fct_topic_momentum
    where is_complete_day

)

select
    left(dim_topic.label, 60) as topic,
    exp(fct_topic_momentum.growth) as times,
    fct_topic_momentum.acceleration,
    fct_topic_momentum.items_window,
    fct_topic_momentum.items_window_before,
    fct_topic_momentum.sources,
    fct_topic_momentum.novelty
from fct_topic_momentum
inner join dim_topic using (topic_id)
inner join latest using (observed_date)
where fct_topic_momentum.growth > 0 and fct_topic_momentum.items_window >= 3
order by fct_topic_momentum.growth desc, fct_topic_momentum.items_window desc, topic_id
limit 25

/*
title: Where does the time of the pipeline go?
answer: "{dag} takes longest: {duration_p95_s:.0f} s in 95 of 100 runs."
chart: {kind: bar, x: duration_p95_s, y: dag}
*/
select
    dag_id as dag,
    sum(runs)::int as runs,
    sum(failures)::int as failures,
    max(duration_p50_s) as duration_p50_s,
    max(duration_p95_s) as duration_p95_s,
    sum(retries)::int as retries
from mart_pipeline_health
group by dag_id
having max(duration_p95_s) is not null
order by duration_p95_s desc, dag_id

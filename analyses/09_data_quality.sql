/*
title: What do the gates find?
answer: "{gate}: {pass_rate:.1%} of its expectations hold."
chart: {kind: bar, x: failed, y: gate}
*/
select
    gate,
    sum(failed_blocking + failed_warning)::int as failed,
    sum(failed_blocking)::int as failed_blocking,
    sum(blocked_runs)::int as blocked_runs,
    (sum(expectations_passed) / nullif(sum(expectations_checked), 0))::float8 as pass_rate,
    sum(unexpected_rows)::bigint as unexpected_rows,
    max(last_checked_at) as last_checked_at
from mart_data_quality
group by gate
order by failed desc, pass_rate nulls last, gate

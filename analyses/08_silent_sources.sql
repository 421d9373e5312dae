/*
title: Which sources have gone silent?
answer: "{source}: {hours_silent:.0f} hours without a row."
chart: {kind: bar, x: hours_silent, y: source}
*/
select
    source_id as source,
    family,
    hours_silent,
    row_count,
    landings,
    empty_landings,
    rows_rejected,
    last_status,
    last_reason
from dim_source
where hours_silent is not null
order by hours_silent desc, source_id
limit 20

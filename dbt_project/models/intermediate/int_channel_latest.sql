{{ config(materialized='view') }}

select
    channel_key,
    channel_id,
    title,
    handle,
    country,
    size_tier,
    subscribers,
    videos,
    views,
    is_synthetic,
    valid_from,
    available_at
from {{ ref('int_channel_versions') }}
where valid_to is null

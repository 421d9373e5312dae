{#- Rows that have just arrived by COPY have no statistics yet, and the plan would show it. -#}
{{ config(
    pre_hook="analyze {{ source('raw', 'records') }}",
    indexes=[{'columns': ['item_id'], 'unique': true}],
    post_hook='analyze {{ this }}'
) }}

with

items as (

    select * from {{ ref('stg_hackernews__items') }}
    where event_at <= {{ as_of() }} and available_at <= {{ as_of() }}

),

snapshots as (

    select
        item_id,
        count(*) as snapshots,
        max(upvotes) as upvotes,
        max(comments) as comments,
        min(front_page_rank) as best_rank,
        max(event_at) as last_event_at
    from {{ ref('stg_hackernews__snapshots') }}
    where event_at <= {{ as_of() }} and available_at <= {{ as_of() }}
    group by item_id

),

joined as (

    select
        -- ids
        items.item_id,

        -- text
        items.title,
        items.url,
        items.author,

        -- numbers
        coalesce(snapshots.snapshots, 0)::integer as snapshots,
        snapshots.upvotes,
        snapshots.comments,
        snapshots.best_rank,

        -- booleans
        items.is_synthetic,

        -- times
        items.event_at,
        items.available_at,
        coalesce(snapshots.last_event_at, items.event_at) as last_event_at

    from items
    left join snapshots on items.item_id = snapshots.item_id

)

select * from joined

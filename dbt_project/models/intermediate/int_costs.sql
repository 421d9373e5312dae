with

costs as (

    select * from {{ ref('stg_ops__costs') }}

),

summed as (

    select
        -- ids
        video_id,
        stage,
        provider,

        -- numbers
        sum(quantity) filter (where unit = 'seconds')::double precision as seconds,
        sum(quantity) filter (where unit like '%\_tokens')::bigint as tokens,
        sum(quantity) filter (where unit like '%characters')::bigint as characters,
        sum(cost_usd)::numeric(18, 6) as cost_usd,

        -- times
        min(created_at) as first_cost_at,
        max(created_at) as last_cost_at

    from costs
    group by video_id, stage, provider

)

select * from summed

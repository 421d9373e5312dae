{{ config(
    indexes=[
        {'columns': ['segment_id', 'topic_id', 'observed_date'], 'unique': true},
        {'columns': ['observed_date']},
        {'columns': ['topic_id']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

item_days as (

    select * from {{ ref('int_item_days') }}

),

topic_items as (

    select * from {{ ref('int_topic_items') }}

),

videos as (

    select * from {{ ref('dim_video') }}

),

momentum as (

    select * from {{ ref('int_video_momentum') }}

),

labelled as (

    select
        item_days.*,
        item_days.region as country,
        topic_items.topic_id,
        coalesce(videos.niche_id, 'unknown') as niche_id,
        coalesce(
            lower(split_part(
                coalesce(item_days.language, videos.language, topic_items.language), '-', 1
            )),
            'und'
        ) as segment_language,
        -- A place counts as in ranked retrieval: the second gets 63 % of the first. Logarithms of
        -- numeric are fifty times as slow; sums of numeric are the same in any order.
        (ln(2::double precision) / ln((item_days.best_place + 1)::double precision))::numeric
            as place_weight,
        momentum.views_gained,
        momentum.likes,
        momentum.comments
    from item_days
    inner join topic_items
        on
            item_days.content_type = topic_items.content_type
            and item_days.item_id = topic_items.content_id
    left join videos
        on item_days.content_type = 'video' and item_days.item_id = videos.video_id
    left join momentum
        on
            item_days.content_type = 'video'
            and item_days.item_id = momentum.video_id
            and item_days.observed_date = momentum.observed_date

),

aggregated as (

    select
        -- ids
        country || '/' || niche_id || '/' || segment_language as segment_id,
        topic_id,
        observed_date,

        -- the segment
        country,
        niche_id,
        segment_language as language,

        -- counts
        count(*)::integer as items,
        count(*) filter (where is_first)::integer as items_new,
        sum(hours_shown)::integer as item_hours,

        -- interactions
        min(best_place) as best_place,
        sum(place_weight)::double precision as place_weight,
        sum(views_gained)::bigint as views_gained_worldwide,
        sum(likes)::bigint as likes_worldwide,
        sum(comments)::bigint as comments_worldwide,

        -- booleans
        bool_and(is_synthetic) as is_synthetic,
        (observed_date + 1)::timestamp at time zone 'UTC' <= {{ as_of() }} as is_complete_day,

        -- times
        max(available_at) as available_at

    from labelled
    group by country, niche_id, segment_language, topic_id, observed_date

)

select * from aggregated

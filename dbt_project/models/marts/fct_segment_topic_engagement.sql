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

    -- What the lists of a country showed on a day; a list of all countries names no viewers.
    select
        region as country,
        content_type,
        item_id,
        (observed_hour at time zone 'UTC')::date as observed_date,
        count(*) as hours_shown,
        min(best_place) as best_place,
        max(language) as language,
        bool_and(is_synthetic) as is_synthetic,
        max(available_at) as available_at
    from {{ ref('int_observations') }}
    where region <> 'ZZ'
    group by region, content_type, item_id, (observed_hour at time zone 'UTC')::date

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
        topic_items.topic_id,
        coalesce(videos.niche_id, 'unknown') as niche_id,
        coalesce(
            lower(split_part(
                coalesce(item_days.language, videos.language, topic_items.language), '-', 1
            )),
            'und'
        ) as segment_language,
        -- A place counts as in ranked retrieval: the second gets 63 % of the first.
        1 / log(2, item_days.best_place + 1) as place_weight,
        momentum.views_gained,
        momentum.likes,
        momentum.comments,
        row_number() over (
            partition by item_days.country, item_days.content_type, item_days.item_id
            order by item_days.observed_date
        ) = 1 as is_first
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

        -- times
        max(available_at) as available_at

    from labelled
    group by country, niche_id, segment_language, topic_id, observed_date

)

select * from aggregated

{{ config(indexes=[{'columns': ['video_id'], 'unique': true}]) }}

with

videos as (

    select
        video_id,
        channel_key,
        event_at,
        available_at,
        ln(greatest(first_views, 1))::double precision as log_first_views
    from {{ ref('int_videos') }}

),

earlier as (

    -- Only what was seen strictly earlier and known by then: no look ahead.
    select
        videos.video_id,
        count(*) as channel_videos_before,
        percentile_cont(0.5) within group (order by others.log_first_views)
            as channel_median_log_views_before
    from videos
    inner join videos as others
        on
            videos.channel_key = others.channel_key
            and videos.event_at > others.event_at
            and videos.available_at >= others.available_at
    group by videos.video_id

),

joined as (

    select
        videos.video_id,
        coalesce(earlier.channel_videos_before, 0)::integer as channel_videos_before,
        earlier.channel_median_log_views_before
    from videos
    left join earlier on videos.video_id = earlier.video_id

)

select * from joined

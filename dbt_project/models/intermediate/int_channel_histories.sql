{#- An increment computes again the videos of a channel from the first one on that is new or
    different; what came before it in the channel can't have changed. -#}
{%- set videos_remembered = var('channel_history_videos') | int -%}

{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='video_id',
    on_schema_change='append_new_columns',
    pre_hook=["{{ next_build() }}", "{{ forget_later_builds() }}"],
    indexes=[
        {'columns': ['video_id'], 'unique': true},
        {'columns': ['ingested_at']},
        {'columns': ['built_as_of']},
        {'columns': ['build_number']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

{% if continues() %}
    known as (

        select
            video_id,
            channel_key,
            event_at,
            available_at,
            first_views
        from {{ ref('int_videos') }}

    ),

    stored as (

        select
            video_id,
            channel_key,
            event_at,
            available_at,
            first_views
        from {{ this }}

    ),

    new as (

        select * from known
        except
        select * from stored

    ),

    old as (

        select * from stored
        except
        select * from known

    ),

    differing as (

        -- Both what a video is now and what it was: it may have come from another channel, or have
        -- been seen first at another moment.
        select * from new
        union all
        select * from old

    ),

    starts as (

        select
            channel_key,
            min(event_at) as event_at
        from differing
        where channel_key is not null
        group by channel_key

    ),

    touched as (

        select video_id from differing

        union

        select videos.video_id
        from {{ ref('int_videos') }} as videos
        inner join starts
            on videos.channel_key = starts.channel_key and videos.event_at >= starts.event_at

    ),
{% endif %}

videos as (

    select videos.*
    from {{ ref('int_videos') }} as videos
    {% if continues() %}
        inner join touched on videos.video_id = touched.video_id
    {% endif %}

),

joined as (

    select
        -- ids
        videos.video_id,
        videos.channel_key,

        -- numbers
        videos.first_views,
        history.videos::integer as channel_videos_before,
        history.median_log_views as channel_median_log_views_before,

        -- times
        videos.event_at,
        videos.available_at,
        videos.ingested_at,
        {{ as_of() }} as built_as_of,
        {{ build_number() }} as build_number

    from videos
    cross join lateral ( -- noqa: ST05
        with latest as (
            -- Only what was seen strictly earlier and known by then: no look ahead. And only so
            -- many, by index: with all, the time grows with the square of a channel's videos.
            select earlier.first_views
            from {{ ref('int_videos') }} as earlier
            where
                earlier.channel_key = videos.channel_key
                and earlier.event_at < videos.event_at
                and earlier.available_at <= videos.available_at
            order by earlier.event_at desc, earlier.video_id desc
            limit {{ videos_remembered }}
        )

        select
            count(*) as videos,
            percentile_cont(0.5) within group (
                order by ln(greatest(latest.first_views, 1))::double precision
            ) as median_log_views
        from latest
    ) as history

)

select * from joined

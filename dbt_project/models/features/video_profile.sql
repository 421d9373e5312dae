{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='fail',
    indexes=[
        {'columns': ['video_id', 'event_at'], 'unique': true},
        {'columns': ['event_at']},
        {'columns': ['available_at']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

videos as (

    select
        *,
        regexp_count(title, '[[:alpha:]]') as title_letters
    from {{ ref('int_videos') }}

),

channel_histories as (

    select * from {{ ref('int_channel_histories') }}

),

features as (

    select
        videos.video_id,
        videos.event_at,
        videos.available_at,
        videos.is_synthetic,
        videos.category_id,
        videos.language,
        videos.duration_s,
        ln(1 + videos.duration_s) as log_duration,
        char_length(videos.title) as title_chars,
        regexp_count(videos.title, '\S+') as title_words,
        case
            when videos.title_letters = 0 then 0::double precision
            else
                regexp_count(videos.title, '[[:upper:]]')::double precision
                / videos.title_letters
        end as title_caps_share,
        videos.title ~ '[?？؟]' as title_has_question,
        videos.title ~ '[0-9]' as title_has_number,
        -- Pictographs of Unicode: U+1F000 to U+1FAFF and U+2600 to U+27BF.
        regexp_count(videos.title, '[\U0001F000-\U0001FAFF\u2600-\u27BF]')
            as title_emoji_count,
        coalesce(cardinality(videos.tags), 0) as tag_count,
        videos.made_for_kids,
        extract(hour from videos.published_at at time zone 'UTC')::integer as published_hour,
        (extract(isodow from videos.published_at at time zone 'UTC') - 1)::integer
            as published_dow,
        channel_histories.channel_videos_before,
        channel_histories.channel_median_log_views_before
    from videos
    inner join channel_histories on videos.video_id = channel_histories.video_id

)

select features.*
from features
{% if is_incremental() %}
    -- Append only, and one row a video: its profile is what was known at first sight.
    where not exists (
        select 1
        from {{ this }} as written
        where features.video_id = written.video_id
    )
{% endif %}

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
        lower(title) as lower_title,
        greatest(char_length(title), 1)::double precision as length
    from {{ ref('int_videos') }}

),

features as (

    select
        video_id,
        event_at,
        available_at,
        is_synthetic,

        -- words that say what kind of video it is
        lower_title ~ '\mofficial\M' as title_is_official,
        lower_title ~ '\m(music|mv|m/v|clip|audio|lyrics?|visualizer|song)\M' as title_is_music,
        lower_title ~ '\m(trailer|teaser|promo)\M' as title_is_trailer,
        lower_title ~ '\m(live|stream|directo|en vivo|ao vivo)\M' as title_is_live,
        lower_title ~ '\m(feat|ft|x|with)\M\.?' as title_is_joint,
        lower_title ~ '\m(ep|episode|part|capitulo|parte|bölüm|cap)\M' as title_is_serial,
        title ~ '#' as title_has_hashtag,
        title ~ '[|｜]' as title_has_bar,
        title ~ '[(\[【]' as title_has_brackets,
        title ~ ' [-–—] ' as title_has_dash,
        regexp_count(title, '[!！]') as title_exclamations,
        title ~ '\m20[0-9][0-9]\M' as title_has_year,

        -- scripts
        regexp_count(title, '[a-zA-Z]') / length as title_latin_share,
        regexp_count(title, '[\u0400-\u04FF]') / length as title_cyrillic_share,
        regexp_count(title, '[\u0600-\u06FF]') / length as title_arabic_share,
        regexp_count(title, '[\u0900-\u0DFF]') / length as title_indic_share,
        regexp_count(title, '[\u3040-\u30FF\u4E00-\u9FFF\uAC00-\uD7AF]') / length
            as title_east_asian_share,
        regexp_count(title, '[0-9]') / length as title_digit_share,
        length / greatest(regexp_count(title, '\S+'), 1) as title_word_length,

        -- tags and channel
        char_length(array_to_string(tags, '')) / nullif(cardinality(tags), 0)::double precision
            as tag_length,
        position(lower(left(channel_title, 8)) in lower_title) > 0 as title_names_channel,
        channel_title ~* 'vevo|official|records|music|topic' as channel_is_label,
        char_length(channel_title) as channel_title_chars,

        -- length and publication
        duration_s <= 61 as is_short,
        duration_s >= 1200 as is_long,
        extract(minute from published_at) in (0, 30) and extract(second from published_at) <= 15
            as published_on_schedule,
        (extract(epoch from published_at at time zone 'UTC')::bigint % 86400 / 86400.0)
        ::double precision as published_day_share,
        extract(isodow from published_at at time zone 'UTC') >= 6 as published_on_weekend
    from videos

)

select features.*
from features
{% if is_incremental() %}
    -- Append only, and one row a video, as in video_profile.
    where not exists (
        select 1
        from {{ this }} as written
        where features.video_id = written.video_id
    )
{% endif %}

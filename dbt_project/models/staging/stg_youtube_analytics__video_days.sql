{%- set counts = [
    'views', 'engaged_views', 'likes', 'comments', 'shares', 'minutes_watched',
    'subscribers_gained', 'subscribers_lost'
] -%}

with

raw_records as (

    select * from {{ source('raw', 'records') }}
    where source = 'youtube_analytics' and kind = 'video_day'

),

renamed as (

    select
        -- ids
        record_id as video_id,
        payload ->> 'channel_id' as channel_id,
        (payload ->> 'day')::date as day,

        -- numbers
        {%- for name in counts %}
            (payload ->> '{{ name }}')::numeric::bigint as {{ name }},
        {%- endfor %}
        (payload ->> 'average_view_s')::double precision as average_view_s,
        (payload ->> 'average_view_percent')::double precision as average_view_percent,

        -- booleans
        is_synthetic,

        -- times
        event_at,
        available_at

    from raw_records
    where region = 'ZZ'

)

select * from renamed

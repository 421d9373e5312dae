{%- set counts = ['upvotes', 'views', 'stars', 'traffic_at_least', 'posts', 'likes'] -%}
{%- set places = ['rank', 'position'] -%}

with

raw_records as (

    select
        *,
        least(first_available_at, available_at) as known_at
    from {{ source('raw', 'records') }}
    -- A channel is somebody who posts.
    where kind <> 'channel' and source <> 'youtube_analytics'

),

renamed as (

    select
        -- ids: a video found by a search is the same video as in a chart
        case when source like 'youtube%' then 'youtube' else source end as source,
        kind,
        record_id as content_id,
        region,

        -- text: archives of the repository list have only names
        coalesce(
            payload ->> 'title',
            case when source = 'github-trending' and kind = 'listing' then record_id end
        ) as title,
        coalesce(payload ->> 'text', payload ->> 'description', payload ->> 'desc') as text,
        payload ->> 'author' as creator,
        case when payload ->> 'language' ~ '^[a-z]{2,3}(-|$)' then payload ->> 'language' end
            as language,
        case
            when jsonb_typeof(payload -> 'tags') = 'array'
                then array(select jsonb_array_elements_text(payload -> 'tags'))
        end as tags,

        -- numbers: what a source counts, or else the place on its list; comparable only within it
        coalesce(
            {%- for name in counts %}
                case
                    when jsonb_typeof(payload -> '{{ name }}') = 'number'
                        then (payload ->> '{{ name }}')::numeric
                end,
            {%- endfor %}
            {%- for name in places %}
                case
                    when jsonb_typeof(payload -> '{{ name }}') = 'number'
                        then -(payload ->> '{{ name }}')::numeric
                end{{ "," if not loop.last }}
            {%- endfor %}
        ) as interest,
        case
            {%- for name in counts %}
                when jsonb_typeof(payload -> '{{ name }}') = 'number' then '{{ name }}'
            {%- endfor %}
        end as measure,
        case
            {%- for name in places %}
                when jsonb_typeof(payload -> '{{ name }}') = 'number'
                    then (payload ->> '{{ name }}')::numeric
            {%- endfor %}
        end as place,

        -- booleans
        is_synthetic,

        -- times: entries of feeds that say no date stand at the epoch; they were seen when found
        coalesce(nullif(event_at, 'epoch'::timestamptz), known_at) as event_at,
        known_at,
        available_at,
        ingested_at

    from raw_records

),

timed as (

    select
        source,
        kind,
        content_id,
        region,
        title,
        text,
        creator,
        language,
        tags,
        interest,
        measure,
        place,
        is_synthetic,
        event_at,
        -- What was said is known since it was first seen, what was counted since it was counted.
        case when interest is null then known_at else available_at end as available_at,
        available_at as last_available_at,
        ingested_at
    from renamed

)

select * from timed

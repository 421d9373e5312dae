{%- set ages = [24, 48, 168, 720] %}
{%- set day_numbers = [1, 3, 7] %}
{%- set gone_hours = var('video_gone_hours') | int %}

{{ config(
    indexes=[
        {'columns': ['video_id'], 'unique': true},
        {'columns': ['state']},
        {'columns': ['topic_id']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

momentum as (

    select * from {{ ref('int_video_momentum') }}

),

videos as (

    select * from {{ ref('int_videos') }}

),

topic_items as (

    select * from {{ ref('int_topic_items') }}
    where content_type = 'video'

),

paired as (

    select
        *,
        lag(age_hours) over by_video as previous_age,
        lag(views) over by_video as previous_views
    from momentum
    window by_video as (partition by video_id order by observed_date)

),

interpolated as (

    -- Views at an age lie on the line between the sights before and after it.
    select
        {%- for age in ages %}
            case
                when {{ age }} between previous_age and age_hours
                    then
                        previous_views + (views - previous_views)
                        * ({{ age }} - previous_age) / nullif(age_hours - previous_age, 0)
            end as views_at_{{ age }}h,
        {%- endfor %}
        paired.*
    from paired

),

lives as (

    select
        video_id,
        count(*) as days_on_charts,
        min(best_rank) as best_rank,
        max(regions_listed) as most_regions,
        max(views) as most_views,
        min(event_at) as first_seen_at,
        max(event_at) as last_seen_at,
        max(views_per_hour) as peak_views_per_hour,
        {%- for number in day_numbers %}
            max(views) filter (where day_number = {{ number }}) as views_day_{{ number }},
        {%- endfor %}
        {%- for age in ages %}
            min(views_at_{{ age }}h) as views_at_{{ age }}h,
        {%- endfor %}
        max(available_at) as available_at
    from interpolated
    group by video_id

),

peaks as (

    select distinct on (video_id)
        video_id,
        event_at as peak_at
    from momentum
    where views_per_hour is not null
    order by video_id asc, views_per_hour desc, event_at asc

),

joined as (

    select
        -- ids
        lives.video_id,
        videos.channel_key,
        videos.category_id,
        topic_items.topic_id,

        -- text
        case
            when lives.last_seen_at < {{ as_of() }} - interval '{{ gone_hours }} hours' then 'gone'
            when peaks.peak_at is null then 'new'
            when peaks.peak_at = lives.last_seen_at then 'rising'
            else 'peaked'
        end as state,

        -- life on the charts
        lives.days_on_charts::integer as days_on_charts,
        extract(epoch from lives.last_seen_at - lives.first_seen_at)::double precision / 3600
            as hours_on_charts,
        lives.best_rank,
        lives.most_regions,
        extract(epoch from peaks.peak_at - lives.first_seen_at)::double precision / 3600
            as hours_to_peak,
        lives.peak_views_per_hour,

        -- views
        videos.first_views,
        lives.most_views,
        {%- for number in day_numbers %}
            lives.views_day_{{ number }},
        {%- endfor %}
        {%- for age in ages %}
            round(lives.views_at_{{ age }}h)::bigint as views_at_{{ age }}h,
        {%- endfor %}

        -- booleans
        videos.is_synthetic,

        -- times
        videos.published_at,
        lives.first_seen_at,
        peaks.peak_at,
        lives.last_seen_at,
        lives.available_at

    from lives
    inner join videos on lives.video_id = videos.video_id
    left join peaks on lives.video_id = peaks.video_id
    left join topic_items on lives.video_id = topic_items.content_id

)

select * from joined

{{ config(
    indexes=[{'columns': ['channel_key', 'observed_date'], 'unique': true}],
    post_hook='analyze {{ this }}'
) }}

with

video_days as (

    select
        coalesce(channel_id, channel_title) as channel_key,
        channel_id,
        channel_title as title,
        observed_date,
        is_synthetic,
        event_at,
        available_at
    from {{ ref('int_video_days') }}
    where coalesce(channel_id, channel_title) is not null

),

own_words as (

    select
        channel_id as channel_key,
        channel_id,
        title,
        handle,
        country,
        subscribers,
        videos,
        views,
        observed_date,
        is_synthetic,
        event_at,
        available_at
    from {{ ref('stg_youtube__channels') }}
    where event_at <= {{ as_of() }} and available_at <= {{ as_of() }}

),

shown as (

    -- Under a video a channel has only a name.
    select distinct on (channel_key, observed_date) *
    from video_days
    order by channel_key asc, observed_date asc, (title is null) asc, event_at desc, title asc

),

said as (

    select distinct on (channel_key, observed_date) *
    from own_words
    order by channel_key asc, observed_date asc, event_at desc

),

joined as (

    select
        -- ids
        coalesce(said.channel_key, shown.channel_key) as channel_key,
        coalesce(said.channel_id, shown.channel_id) as channel_id,
        coalesce(said.observed_date, shown.observed_date) as observed_date,

        -- text
        case
            when said.event_at >= shown.event_at then coalesce(said.title, shown.title)
            else coalesce(shown.title, said.title)
        end as title,
        said.handle,
        said.country,
        {{ channel_size('said.subscribers') }} as size_tier,

        -- numbers
        said.subscribers,
        said.videos,
        said.views,

        -- booleans
        coalesce(said.is_synthetic, shown.is_synthetic) as is_synthetic,

        -- times
        greatest(said.event_at, shown.event_at) as event_at,
        greatest(said.available_at, shown.available_at) as available_at

    from shown
    full outer join said
        on shown.channel_key = said.channel_key and shown.observed_date = said.observed_date

)

select * from joined

with

video_metrics as (

    select * from {{ source('content', 'video_metrics') }}

),

renamed as (

    select
        -- ids
        video_id,
        horizon,

        -- text
        status,

        -- numbers
        views,
        likes,
        comments,
        average_view_s,
        average_view_percent,
        impressions,
        click_through_rate,

        -- booleans
        is_synthetic,

        -- times
        due_at,
        observed_at

    from video_metrics

)

select * from renamed

{#- YouTube's categories, and the niche of the API that each belongs to. -#}
{%- set niches = [
    (1, 'film', 'Film & Animation', 'entertainment'),
    (2, 'autos', 'Autos & Vehicles', 'lifestyle'),
    (10, 'music', 'Music', 'entertainment'),
    (15, 'pets', 'Pets & Animals', 'lifestyle'),
    (17, 'sports', 'Sports', 'entertainment'),
    (18, 'short-movies', 'Short Movies', 'entertainment'),
    (19, 'travel', 'Travel & Events', 'lifestyle'),
    (20, 'gaming', 'Gaming', 'gaming'),
    (21, 'videoblogging', 'Videoblogging', 'lifestyle'),
    (22, 'people', 'People & Blogs', 'lifestyle'),
    (23, 'comedy', 'Comedy', 'entertainment'),
    (24, 'entertainment', 'Entertainment', 'entertainment'),
    (25, 'news', 'News & Politics', 'education'),
    (26, 'howto', 'Howto & Style', 'lifestyle'),
    (27, 'education', 'Education', 'education'),
    (28, 'technology', 'Science & Technology', 'technology'),
    (29, 'activism', 'Nonprofits & Activism', 'education'),
    (30, 'movies', 'Movies', 'entertainment'),
    (43, 'shows', 'Shows', 'entertainment'),
    (44, 'trailers', 'Trailers', 'entertainment')
] -%}
{%- set by_niche = var('revenue_per_1000_views_by_niche') -%}

{{ config(indexes=[{'columns': ['niche_id'], 'unique': true}]) }}

with

niches as (

    select *
    from (
        values
        {%- for category_id, niche_id, name, api_niche in niches %}
            (
                {{ category_id }},
                '{{ niche_id }}',
                '{{ name }}',
                '{{ api_niche }}',
                {{ (by_niche[niche_id] if by_niche is mapping and niche_id in by_niche
                    else var('revenue_per_1000_views')) | float }}
            ){{ "," if not loop.last }}
        {%- endfor %}
    ) as listed (category_id, niche_id, name, api_niche, revenue_per_1000_views_usd)

),

renamed as (

    select
        niche_id,
        category_id,
        name,
        api_niche,
        revenue_per_1000_views_usd::double precision as revenue_per_1000_views_usd
    from niches

)

select * from renamed

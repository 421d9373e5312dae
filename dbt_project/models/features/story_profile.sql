{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='fail',
    indexes=[
        {'columns': ['story_id'], 'unique': true},
        {'columns': ['event_at']},
        {'columns': ['available_at']}
    ],
    post_hook='analyze {{ this }}'
) }}

with

sights as (

    select * from {{ ref('stg_hackernews__snapshots') }}
    where upvotes is not null and event_at <= {{ as_of() }} and available_at <= {{ as_of() }}

),

items as (

    select * from {{ ref('stg_hackernews__items') }}
    where available_at <= {{ as_of() }}

),

entries as (

    -- The front page is places 1 to 30; live lists go on behind it.
    select distinct on (item_id) *
    from sights
    where front_page_rank <= 30
    order by item_id asc, event_at asc

),

stories as (

    select
        entries.item_id as story_id,
        entries.item_id::bigint as story_number,
        entries.event_at,
        greatest(entries.available_at, items.available_at) as available_at,
        entries.is_synthetic,
        items.title,
        items.url ~* '^https?://' as has_link,
        lower(items.author) as author,
        regexp_replace(
            lower(substring(items.url from '^[a-zA-Z]+://(?:[^/@]*@)?([^/:?#]+)')), '^www\.', ''
        ) as host
    from entries
    left join items on entries.item_id = items.item_id

),

outcomes as (

    -- What a story had reached 48 hours after its entry, known since then.
    select
        stories.story_id,
        max(sights.upvotes) as upvotes,
        greatest(stories.event_at + interval '48 hours', max(sights.available_at)) as known_at
    from stories
    inner join sights
        on
            stories.story_id = sights.item_id
            and sights.event_at
            between stories.event_at and stories.event_at + interval '48 hours'
    group by stories.story_id, stories.event_at
    having stories.event_at + interval '48 hours' <= {{ as_of() }}

),

{% for key in ['host', 'author'] %}
    {{ key }}_moments as (

        select
            {{ key }},
            event_at as moment,
            story_id,
            null::double precision as log_upvotes,
            null::integer as is_reaching
        from stories
        where {{ key }} is not null
        union all
        select
            stories.{{ key }},
            outcomes.known_at as moment,
            null as story_id,
            ln(greatest(outcomes.upvotes, 1)::double precision) as log_upvotes,
            (outcomes.upvotes >= 100)::integer as is_reaching
        from stories
        inner join outcomes on stories.story_id = outcomes.story_id
        where stories.{{ key }} is not null

    ),

    {{ key }}_histories as (

        -- At the moment of each entry: what earlier entries had come to by then.
        select
            story_id,
            count(log_upvotes) over earlier as stories_before,
            avg(log_upvotes) over earlier as mean_log_upvotes,
            avg(is_reaching) over earlier as reach_share
        from {{ key }}_moments
        window earlier as (
            partition by {{ key }} order by moment range unbounded preceding
        )

    ),

{% endfor %}
{#- Ids count all that is posted, comments too: a story that is behind newer ones is old. -#}
numbered as (

    select
        *,
        max(story_number) over (
            partition by is_synthetic
            order by event_at
            range between unbounded preceding and interval '1 microsecond' preceding
        ) as newest_before,
        max(story_number) over (
            partition by is_synthetic
            order by event_at
            range between unbounded preceding and interval '24 hours' preceding
        ) as newest_a_day_before
    from stories

),

overtaken as (

    -- The entries that had the highest number so far rise in number and in time, so the first of
    -- them that is no lower is the one by which this story must have been there.
    select
        *,
        min(event_at) filter (where story_number > newest_before or newest_before is null) over (
            partition by is_synthetic
            order by story_number desc range unbounded preceding
        ) as overtaken_at
    from numbered

),

features as (

    select
        overtaken.story_id,
        overtaken.event_at,
        overtaken.available_at,
        overtaken.is_synthetic,
        extract(epoch from overtaken.event_at - overtaken.overtaken_at)::double precision / 3600
            as overtaken_hours,
        (overtaken.newest_before - overtaken.story_number)::double precision
        / nullif(overtaken.newest_before - overtaken.newest_a_day_before, 0) * 24
            as age_by_id_hours,
        char_length(overtaken.title) as title_chars,
        regexp_count(overtaken.title, '\S+') as title_words,
        overtaken.title ~ '[?？]\s*$' as title_is_question,
        overtaken.title ~ '[0-9]' as title_has_number,
        overtaken.title ~ '\((19|20)[0-9]{2}\)\s*$' as title_has_year,
        overtaken.title ~* '\[(pdf|video)\]' as title_names_medium,
        overtaken.title ~* '^show hn' as is_show,
        overtaken.title ~* '^(ask|tell) hn' as is_ask,
        overtaken.has_link,
        coalesce(host_histories.stories_before, 0)::integer as host_stories_before,
        host_histories.mean_log_upvotes as host_mean_log_upvotes,
        host_histories.reach_share::double precision as host_reach_share,
        coalesce(author_histories.stories_before, 0)::integer as author_stories_before,
        author_histories.mean_log_upvotes as author_mean_log_upvotes,
        author_histories.reach_share::double precision as author_reach_share
    from overtaken
    left join host_histories on overtaken.story_id = host_histories.story_id
    left join author_histories on overtaken.story_id = author_histories.story_id

)

select features.*
from features
{% if is_incremental() %}
    -- Append only, and one row a story: its profile is what was known at its entry.
    where not exists (
        select 1
        from {{ this }} as written
        where features.story_id = written.story_id
    )
{% endif %}

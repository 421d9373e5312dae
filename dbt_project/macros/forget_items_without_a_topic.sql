{#- Before an increment of int_topic_observations: what it would not find any more. -#}
{% macro forget_items_without_a_topic() -%}
    {%- if continues() -%}
        delete from {{ this }} as stored
        where not exists (
            select from {{ ref('int_topic_items') }} as items
            where items.content_type = stored.content_type and items.content_id = stored.item_id
        )
    {%- endif -%}
{%- endmacro %}

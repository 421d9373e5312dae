{#- Size of a channel by its subscribers, in steps that growth does not cross every day. -#}
{% macro channel_size(subscribers) -%}
    case
        when {{ subscribers }} < 1000 then 'below 1K'
        when {{ subscribers }} < 10000 then '1K to 10K'
        when {{ subscribers }} < 100000 then '10K to 100K'
        when {{ subscribers }} < 1000000 then '100K to 1M'
        when {{ subscribers }} < 10000000 then '1M to 10M'
        when {{ subscribers }} >= 10000000 then '10M and more'
    end
{%- endmacro %}

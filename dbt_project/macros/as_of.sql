{#- "Now" for every model. It comes from the variable `as_of` and never from the clock, so that a
    build can be repeated for any past moment. While dbt only parses, no value is needed. -#}
{% macro as_of() -%}
    {%- if not execute -%}
        null::timestamptz
    {%- elif not var('as_of', none) -%}
        {{ exceptions.raise_compiler_error(
            "the variable as_of is required, for example --vars '{as_of: \"2026-05-31T05:00:00Z\"}'"
        ) }}
    {%- else -%}
        '{{ var("as_of") | replace("'", "") }}'::timestamptz
    {%- endif -%}
{%- endmacro %}

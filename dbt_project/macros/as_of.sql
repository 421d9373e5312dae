{#- "Now" for every model. It comes in from outside and never from the clock, so that a build can be
    repeated for any past moment. An environment variable and not `--vars`, because other vars make dbt
    parse the whole project again. While dbt only parses, no value is needed. -#}
{% macro as_of() -%}
    {%- if not execute -%}
        null::timestamptz
    {%- elif not env_var('YTEMPIRE_DBT_AS_OF', '') -%}
        {{ exceptions.raise_compiler_error(
            "the variable YTEMPIRE_DBT_AS_OF is required, for example 2026-05-31T05:00:00Z"
        ) }}
    {%- else -%}
        '{{ env_var("YTEMPIRE_DBT_AS_OF") | replace("'", "") }}'::timestamptz
    {%- endif -%}
{%- endmacro %}

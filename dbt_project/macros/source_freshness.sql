{#- Freshness of a source relative to `as_of`, not to the clock: an archive of last winter is fresh
    when the build is as of last winter. -#}
{% macro postgres__collect_freshness(source, loaded_at_field, filter) %}
    {% call statement('collect_freshness', fetch_result=True, auto_begin=False) -%}
        select
            max({{ loaded_at_field }}) as max_loaded_at,
            {{ as_of() }} as snapshotted_at
        from {{ source }}
        where {{ loaded_at_field }} <= {{ as_of() }}
        {% if filter %} and {{ filter }} {% endif %}
    {%- endcall %}
    {{ return(load_result('collect_freshness')) }}
{% endmacro %}

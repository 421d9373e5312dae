{#- A mart as its readers see it: the view of the last build that passed its gate. Before the first
    publication it is what the build has just left, so that a plain `dbt build` works too.

    A publication moves the tables of the build away, so a model that runs after one can't ref them. -#}
{% macro published(mart) -%}
    {%- set built = ref(mart) -%}
    {{ return(api.Relation.create(schema='marts', identifier=mart) if is_published(mart) else built) }}
{%- endmacro %}

{% macro is_published(mart) -%}
    {{ return(execute and load_relation(api.Relation.create(
        database=target.database, schema='marts', identifier=mart
    )) is not none) }}
{%- endmacro %}

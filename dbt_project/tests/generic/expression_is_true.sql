{#- Passes when the expression is true or null in every row. It may stand at the table or at a column
    that it is about. -#}
{% test expression_is_true(model, expression, where=none, column_name=none) %}
    select *
    from {{ model }}
    where not ({{ expression }})
    {%- if where %} and ({{ where }}) {%- endif %}
{% endtest %}

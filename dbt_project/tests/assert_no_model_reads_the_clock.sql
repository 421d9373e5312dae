-- A model must give the same rows for the same `as_of`, whenever it runs.
{%- set patterns = [
    'now\s*\(', 'current_date', 'current_time', 'localtime', 'clock_timestamp',
    'statement_timestamp', 'transaction_timestamp', 'timeofday', 'run_started_at',
    'modules\.datetime', "'(now|today|yesterday|tomorrow)'"
] %}
{%- set offenders = [] %}
{%- if execute %}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' %}
        {%- for pattern in patterns
            if modules.re.search('\\b' ~ pattern if pattern[0] != "'" else pattern, node.raw_code, modules.re.IGNORECASE) %}
            {%- do offenders.append(node.name ~ ' reads the clock: ' ~ pattern) %}
        {%- endfor %}
    {%- endfor %}
{%- endif %}

{% if offenders %}
    {% for offender in offenders %}
        select '{{ offender | replace("'", "''") }}' as offence
        {{ 'union all' if not loop.last }}
    {% endfor %}
{% else %}
    select null::text as offence where false
{% endif %}

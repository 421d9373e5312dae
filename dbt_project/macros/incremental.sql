{#- Incremental tables that a full refresh would build the same way.

    Every row of such a table has three more columns: `ingested_at`, when the newest of the raw rows
    behind it was loaded; `built_as_of`, the `as_of` of the build that wrote it; and `build_number`,
    which grows from build to build, also where `as_of` stands still. A build reads again, group by
    group, what may have changed since the last one: of raw rows by their times, of other tables like
    this by the number. It never asks the clock.

    Late rows: a row that was known in the last `late_days` days before the last build's `as_of` is
    always read again, so that a slow transaction, which commits after a build with an earlier loading
    time, is not missed. Older ones are found by when they were loaded, so an archive of last winter
    comes in whole. Only a deleted raw row needs `--full-refresh`. -#}

{#- The last build of this table, as far as its rows tell: none where there are none, or where they are
    of a release that did not keep it. Read before the model runs, so that the planner sees constants. -#}
{% macro last_build() -%}
    {%- if not (execute and is_incremental()) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set names = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
    {%- if 'build_number' not in names -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set row = run_query(
        "select max(built_as_of)::text, max(ingested_at)::text, max(built_as_of) > " ~ as_of()
        ~ ", coalesce(max(build_number), 0) from " ~ this
    ).rows[0] -%}
    {%- if row[0] is none -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return({
        'as_of': row[0], 'ingested_at': row[1], 'is_later': row[2], 'build_number': row[3]
    }) }}
{%- endmacro %}

{#- Whether to build on what an earlier build left. -#}
{% macro continues() -%}
    {%- set last = last_build() -%}
    {{ return(last is not none and not last['is_later']) }}
{%- endmacro %}

{#- Condition on raw rows: those that the last build has not seen, or may not have.

    Args:
        available_at: column that says since when the row is known. -#}
{% macro is_changed(available_at='available_at') -%}
    {%- set last = last_build() -%}
    (
        {{ available_at }} > '{{ last["as_of"] }}'::timestamptz - interval '{{ var("late_days") | int }} days'
        or ingested_at > '{{ last["ingested_at"] }}'::timestamptz
    )
{%- endmacro %}

{#- Before the run: where the numbers of builds come from. -#}
{% macro prepare_build_numbers() -%}
    create schema if not exists intermediate;
    create sequence if not exists intermediate.build_numbers
{%- endmacro %}

{#- Before a model: a number that is greater than those of the tables that it reads. -#}
{% macro next_build() -%}
    select nextval('intermediate.build_numbers')
{%- endmacro %}

{#- The number of this build of a table, or of one that began beside it. To draw it in the query
    itself would keep Postgres from reading in parallel. -#}
{% macro build_number() -%}
    (select last_value from intermediate.build_numbers)
{%- endmacro %}

{#- Condition on the rows of another such table: those written since the last build of this one. -#}
{% macro is_rewritten(build_number='build_number') -%}
    {{ build_number }} > {{ last_build()['build_number'] }}
{%- endmacro %}

{#- A build of an earlier moment starts over: what was built holds what was not known then. -#}
{% macro forget_later_builds() -%}
    {%- set last = last_build() -%}
    {%- if last is not none and last['is_later'] -%}
        delete from {{ this }}
    {%- endif -%}
{%- endmacro %}

"""What was landed of which interval, which days are complete, and which sources were checked."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0001"

_TABLES = """
create table ops.landings (
    source text not null,
    interval_start timestamptz not null,
    interval_end timestamptz not null,
    run_id text not null,
    family text not null,
    status text not null check (status in ('landed', 'empty')),
    reason text not null default '',
    level text not null,
    pages integer not null,
    rows bigint not null,
    rows_new bigint not null,
    rejected bigint not null,
    landed_at timestamptz not null default now(),
    primary key (source, interval_start, interval_end, run_id)
);
comment on table ops.landings is
    'One row per source, interval and run: what landed, or why nothing could.';
create index landings_by_time on ops.landings (interval_start, family);

create table ops.days (
    day date primary key,
    families integer not null,
    sources_landed integer not null,
    sources_empty integer not null,
    rows bigint not null,
    rejected bigint not null,
    closed_at timestamptz not null default now()
);
comment on table ops.days is
    'One row per day that every source family has delivered or declared empty.';

create table ops.source_checks (
    source text primary key,
    checked_at timestamptz not null,
    verified_at timestamptz,
    detail text not null
);
comment on table ops.source_checks is
    'One row per source: when it was last asked online, and when that last worked.';

create table ops.alerts (
    alert_id bigint generated always as identity primary key,
    kind text not null,
    dag_id text not null,
    run_id text not null,
    task_id text not null default '',
    message text not null,
    sent_to text[] not null default '{}',
    created_at timestamptz not null default now()
);
comment on table ops.alerts is 'One row per alert to an owner: failures and missed deadlines.';
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the tables."""
    op.execute("drop table ops.alerts, ops.source_checks, ops.days, ops.landings")

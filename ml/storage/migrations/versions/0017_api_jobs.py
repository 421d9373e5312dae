"""Long work of the HTTP API, which Airflow does and callers follow."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0015"

_TABLES = """
create table ops.api_jobs (
    job_id uuid primary key,
    kind text not null check (kind in (
        'generate_script', 'synthesize_voice', 'generate_thumbnail', 'assess_quality', 'train')),
    key_id text not null,
    request jsonb not null,
    dag_id text not null,
    run_id text not null,
    status text not null default 'submitted' check (
        status in ('submitted', 'running', 'completed', 'failed')),
    progress double precision not null default 0 check (progress between 0 and 1),
    step text,
    result jsonb,
    files jsonb not null default '{}'::jsonb,
    error text,
    fault text check (fault in ('request', 'platform')),
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    check ((status in ('completed', 'failed')) = (finished_at is not null)),
    check ((status = 'completed') = (result is not null)),
    check ((status = 'failed') = (error is not null and fault is not null))
);
comment on table ops.api_jobs is
    'One row per script, voice, thumbnail, assessment or training that a caller of the HTTP API asked for; a run of Airflow does the work. A completed one never changes.';
create index api_jobs_by_key on ops.api_jobs (key_id, created_at desc);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop it."""
    op.execute("drop table ops.api_jobs")

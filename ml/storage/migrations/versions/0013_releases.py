"""Rollouts of model versions, failed answers of the API, and the audit of every change."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

_TABLES = """
create table ml.release_audit (
    audit_id bigint primary key,
    at timestamptz not null,
    actor text not null check (actor <> ''),
    action text not null check (action in (
        'registered', 'validated', 'refused', 'alias_moved', 'approved', 'rejected',
        'rollout_started', 'rollout_moved', 'rollout_ended', 'frozen', 'unfrozen')),
    model_name text not null,
    mlflow_version integer,
    version text,
    alias text,
    from_version integer,
    to_version integer,
    reason text not null,
    evidence json not null,
    previous_hash text not null,
    hash text not null unique
);
comment on table ml.release_audit is
    'One row per change of a release: who, when, why, from, to and on what evidence. Rows are only ever added; each holds the hash of the one before it.';
create index release_audit_by_model on ml.release_audit (model_name, alias, audit_id);

-- `ml.registry.audit` computes the same hash without this function.
create function ml.chain_release_audit() returns trigger language plpgsql as $$
declare
    last record;
begin
    perform pg_advisory_xact_lock(hashtextextended('ml.release_audit', 0));
    select audit_id, hash into last from ml.release_audit order by audit_id desc limit 1;
    new.audit_id = coalesce(last.audit_id, 0) + 1;
    new.at = clock_timestamp();
    new.previous_hash = coalesce(last.hash, '');
    new.hash = encode(sha256(convert_to(new.previous_hash || json_build_array(
        new.audit_id, extract(epoch from new.at)::text, new.actor, new.action, new.model_name,
        new.mlflow_version, new.version, new.alias, new.from_version, new.to_version, new.reason,
        new.evidence::text)::text, 'UTF8')), 'hex');
    return new;
end $$;
create trigger chained before insert on ml.release_audit
    for each row execute function ml.chain_release_audit();
create trigger append_only before update or delete or truncate on ml.release_audit
    for each statement execute function ops.refuse_change();
revoke update, delete, truncate on ml.release_audit from public;

create view ml.alias_history as
select
    model_name, alias, to_version as mlflow_version, version, at as since,
    lead(at) over (partition by model_name, alias order by audit_id) as until, actor, reason
from ml.release_audit
where action = 'alias_moved';
comment on view ml.alias_history is
    'One row per stretch of time that an alias pointed at one version (null: at none). What was live at a moment is the row of the champion with since <= moment < until.';

create table ml.rollouts (
    rollout_id uuid primary key default gen_random_uuid(),
    model_name text not null,
    mlflow_version integer not null,
    version text not null,
    from_version integer not null,
    strategy text not null check (strategy in ('canary', 'blue_green', 'shadow')),
    status text not null default 'running' check (status in (
        'running', 'promoted', 'rolled_back', 'shadowed')),
    steps integer[] not null,
    step integer not null default 1,
    started_at timestamptz not null default now(),
    step_started_at timestamptz not null default now(),
    checked_at timestamptz,
    ended_at timestamptz,
    actor text not null,
    reason text not null,
    health json not null default '{}'
);
comment on table ml.rollouts is
    'One row per rollout of a version to a share of the callers. steps are percent of the callers, step the place of the present one, from 1.';
create unique index one_rollout_at_a_time on ml.rollouts (model_name) where status = 'running';

create table ml.serving_errors (
    error_id bigint generated always as identity primary key,
    model_id uuid not null references ml.ml_models (id),
    prediction_type text not null,
    error text not null,
    created_at timestamptz not null default now()
);
comment on table ml.serving_errors is
    'One row per answer that a model version could not give: the type of the error, no input.';
create index serving_errors_by_model on ml.serving_errors (model_id, created_at);
create index model_predictions_by_model_and_time on ml.model_predictions (model_id, created_at);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them, with the audit."""
    op.execute("drop index ml.model_predictions_by_model_and_time")
    op.execute("drop view ml.alias_history")
    op.execute("drop table ml.serving_errors, ml.rollouts, ml.release_audit")
    op.execute("drop function ml.chain_release_audit()")

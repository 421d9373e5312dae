"""Keys of the HTTP API, failed logins and the audit log."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"

_TABLES = """
create table ops.api_keys (
    key_id text primary key,
    secret_sha256 bytea not null check (length(secret_sha256) = 32),
    name text not null,
    roles text[] not null,
    scopes text[] not null default '{}',
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
comment on table ops.api_keys is
    'One row per key of the HTTP API. The secret is here as a hash only; last_used_at is at most some seconds late.';

create table ops.api_login_failures (
    key_id text primary key references ops.api_keys (key_id),
    failures integer not null,
    last_failed_at timestamptz not null,
    locked_until timestamptz
);
comment on table ops.api_login_failures is
    'One row per key that was used with a wrong secret: how often in a row, and until when it is locked.';

create table ops.api_audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    event text not null check (event in (
        'login_succeeded', 'login_failed', 'call_refused', 'key_created', 'key_revoked')),
    key_id text,
    actor text,
    address text,
    method text,
    route text,
    reason text,
    times integer not null default 1
);
comment on table ops.api_audit is
    'Logins, changes of keys and refused calls; rows are only ever added. The same thing happening again within a second or so raises times instead.';
create index api_audit_by_key on ops.api_audit (key_id, at);
create index api_audit_by_time on ops.api_audit (at);

create function ops.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '%.% is append-only', tg_table_schema, tg_table_name;
end $$;
create trigger append_only before update or delete or truncate on ops.api_audit
    for each statement execute function ops.refuse_change();
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them, with the log."""
    op.execute("drop table ops.api_audit, ops.api_login_failures, ops.api_keys")
    op.execute("drop function ops.refuse_change()")

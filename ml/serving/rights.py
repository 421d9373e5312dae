"""What the login of the API may do in Postgres: least privilege, granted by the tables' owner."""

from __future__ import annotations

import psycopg
from psycopg import sql

ROLE = "serving"

_RIGHTS = (
    "grant connect, temporary on database {database} to {role}",
    "grant usage on schema raw, features, ml, content, ops to {role}",
    # "Now" is the newest observation; nothing else of the raw rows is read.
    "grant select (observed_at) on raw.youtube_videos to {role}",
    "grant select (event_at) on raw.records to {role}",
    # dbt makes these tables, also after this.
    "grant select on all tables in schema features to {role}",
    "alter default privileges in schema features grant select on tables to {role}",
    "grant select on ml.topics, ml.topic_assignments, ml.ml_models, ml.training_jobs,"
    " ml.model_performance_metrics, ml.drift_reports to {role}",
    "grant select, insert, update on ml.model_predictions to {role}",
    "grant insert (model_id, prediction_type, error) on ml.serving_errors to {role}",
    "grant select (verdict) on content.videos to {role}",
    "grant select (video_id, cost_usd) on ops.cost_ledger to {role}",
    "grant select, insert, update on ops.api_jobs to {role}",
    # Keys are read, their last use noted, failed logins counted, the audit log added to.
    "grant select, update (last_used_at) on ops.api_keys to {role}",
    "grant select, insert, update on ops.api_login_failures to {role}",
    "grant insert on ops.api_audit to {role}",
)


def grant_rights(conn: psycopg.Connection, role: str = ROLE) -> None:
    """Give the login of the API what it needs and nothing more; granting again changes nothing.

    Args:
        conn: of the owner of the database.
        role: a role that exists.
    """
    names = {"role": sql.Identifier(role), "database": sql.Identifier(conn.info.dbname)}
    for statement in _RIGHTS:
        conn.execute(sql.SQL(statement).format(**names))

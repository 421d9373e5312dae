"""Watching: verdicts by column and slice, definition breaks, firing warnings, asked retrainings."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"

_TABLES = """
alter table ml.drift_reports drop constraint drift_reports_verdict_check;
alter table ml.drift_reports add constraint drift_reports_verdict_check
    check (verdict in ('stable', 'drift', 'definition_break'));

create table ml.drift_columns (
    drift_report_id text not null references ml.drift_reports (drift_report_id) on delete cascade,
    aspect text not null check (aspect in ('feature', 'prediction', 'embedding')),
    column_name text not null,
    verdict text not null check (verdict in ('stable', 'drift', 'definition_break')),
    strongest_test text not null,
    p_value double precision not null,
    q_value double precision not null,
    effect double precision not null,
    psi double precision not null,
    current_rows integer not null,
    reference_rows integer not null,
    current_missing double precision not null,
    reference_missing double precision not null,
    current_mean double precision,
    reference_mean double precision,
    primary key (drift_report_id, aspect, column_name)
);
comment on table ml.drift_columns is
    'One row per drift report and column: what the tests say of it. p_value is of the column alone, q_value of all together; effect is on the scale of Cohen (0.2 is small).';

create table ml.slice_metrics (
    drift_report_id text not null references ml.drift_reports (drift_report_id) on delete cascade,
    slice text not null,
    value text not null,
    rows integer not null,
    accuracy double precision not null,
    "precision" double precision not null,
    recall double precision not null,
    f1 double precision not null,
    auc double precision not null,
    ece double precision not null,
    primary key (drift_report_id, slice, value)
);
comment on table ml.slice_metrics is
    'One row per drift report and slice with enough rows whose outcome arrived in its window.';

create table ml.definition_breaks (
    source text not null,
    field text not null,
    broke_on date not null,
    change text not null,
    told_by text not null,
    columns text[] not null,
    primary key (source, field, broke_on)
);
comment on table ml.definition_breaks is
    'One row per day on which a provider changed what a field means; columns are LIKE patterns of the features it reaches. Drift across it is not taken for behaviour.';
insert into ml.definition_breaks values
    ('youtube', 'chart=mostPopular', '2025-07-21',
     'The Trending page is gone; the chart lists the Music, Movies and Gaming charts.',
     'YouTube Data API revision history, July 2025', '{%}'),
    ('youtube', 'statistics.viewCount of Shorts', '2025-03-31',
     'A view counts from the first frame played, without a least watch time.',
     'YouTube Help: how views of Shorts are counted, March 2025',
     '{%view%,%growth%,%speed%,%like_rate%,%comment_rate%,%standing%,%exponent%,recent_to_lifetime,%persistence%}');

create table ml.retrain_requests (
    drift_report_id text primary key references ml.drift_reports (drift_report_id) on delete cascade,
    model_name text not null,
    cause text not null check (cause in ('drift', 'decay')),
    as_of timestamptz not null,
    is_granted boolean not null,
    reason text not null,
    created_at timestamptz not null default now()
);
comment on table ml.retrain_requests is
    'One row per drift report that spoke for a retraining: granted, or why not.';
create index retrain_requests_by_time on ml.retrain_requests (model_name, as_of);

create table ops.warnings (
    rule text not null,
    subject text not null,
    severity text not null,
    value double precision not null,
    message text not null,
    fired_at timestamptz not null,
    last_seen_at timestamptz not null,
    recovered_at timestamptz,
    notices integer not null default 1,
    primary key (rule, subject)
);
comment on table ops.warnings is
    'One row per early-warning rule and subject that has fired: since when it fires, or when it last recovered.';
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them; reports of definition breaks become stable ones."""
    op.execute("drop table ops.warnings, ml.retrain_requests")
    op.execute("drop table ml.definition_breaks, ml.slice_metrics, ml.drift_columns")
    op.execute("update ml.drift_reports set verdict = 'stable' where verdict = 'definition_break'")
    op.execute("alter table ml.drift_reports drop constraint drift_reports_verdict_check")
    op.execute(
        "alter table ml.drift_reports add constraint drift_reports_verdict_check"
        " check (verdict in ('stable', 'drift'))"
    )

"""Schemas, raw tables, operations, models and content.

Every raw row carries three times: when it happened (`event_at`, `observed_at` for a video), when
we could have known (`available_at`) and when it was loaded (`ingested_at`).
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

_SCHEMAS = (
    "raw",
    "staging",
    "intermediate",
    "marts_build",
    "marts",
    "features",
    "ml",
    "content",
    "ops",
)

_RAW = """
create table raw.records (
    source text not null,
    kind text not null,
    record_id text not null,
    region text not null default 'ZZ',
    event_at timestamptz not null,
    available_at timestamptz not null,
    ingested_at timestamptz not null default now(),
    payload jsonb not null,
    bronze_key text not null,
    is_synthetic boolean not null default false,
    primary key (source, kind, record_id, region, event_at)
);
comment on table raw.records is
    'One row per source, kind, record, region and event time: what every source yields. Region ZZ means none.';
create index records_by_time on raw.records (source, kind, event_at);

create table raw.youtube_videos (
    source text not null,
    region text not null,
    video_id text not null,
    observed_at timestamptz not null,
    available_at timestamptz not null,
    ingested_at timestamptz not null default now(),
    chart_rank integer,
    title text not null,
    channel_id text,
    channel_title text,
    category_id integer,
    published_at timestamptz,
    tags text[],
    language text,
    duration_s double precision,
    views bigint,
    likes bigint,
    dislikes bigint,
    comments bigint,
    regions_listed integer,
    made_for_kids boolean,
    bronze_key text not null,
    is_synthetic boolean not null default false,
    primary key (source, region, video_id, observed_at)
);
comment on table raw.youtube_videos is
    'One row per source, region, video and observation. Null likes or comments mean hidden, never zero. Region ZZ means all regions together.';
create index youtube_videos_by_time on raw.youtube_videos (observed_at);
create index youtube_videos_by_video on raw.youtube_videos (video_id, observed_at);
"""

_OPS = """
create table ops.cursors (
    source text not null,
    stream text not null,
    cursor jsonb not null,
    updated_at timestamptz not null default now(),
    primary key (source, stream)
);
comment on table ops.cursors is 'Where each source stream stands; moved in the transaction that loads the rows.';

create table ops.dead_letters (
    dead_letter_id text primary key,
    source text not null,
    kind text not null,
    reason text not null,
    payload text,
    bronze_key text not null,
    position bigint,
    status text not null default 'open' check (status in ('open', 'replayed', 'discarded')),
    created_at timestamptz not null default now()
);
comment on table ops.dead_letters is
    'One row per record that could not be used, with the reason. The id is a hash of source, kind, bronze key and position, so a re-run adds nothing.';
create index dead_letters_by_source on ops.dead_letters (source, created_at);

create table ops.imports (
    import_id text primary key,
    format text not null,
    file_name text not null,
    sha256 text not null,
    bronze_key text not null,
    region text,
    rows_read bigint not null,
    rows_loaded bigint not null,
    rows_rejected bigint not null,
    finished_at timestamptz not null default now()
);
comment on table ops.imports is 'One row per imported archive file.';

create table ops.gate_results (
    gate_result_id bigint generated always as identity primary key,
    gate text not null,
    run_id text not null,
    expectation text not null,
    column_name text,
    severity text not null check (severity in ('block', 'warn')),
    success boolean not null,
    unexpected_count bigint,
    examples jsonb,
    details jsonb not null default '{}'::jsonb,
    report_key text,
    checked_at timestamptz not null default now(),
    unique nulls not distinct (gate, run_id, expectation, column_name)
);
comment on table ops.gate_results is 'One row per gate run and expectation.';

create table ops.builds (
    build_id text primary key,
    published_at timestamptz,
    as_of timestamptz not null,
    models jsonb not null default '{}'::jsonb
);
comment on table ops.builds is 'One row per dbt build; the newest published one is what the marts schema shows.';

create table ops.cost_ledger (
    cost_id text primary key,
    video_id text,
    stage text not null,
    provider text not null,
    unit text not null,
    quantity numeric not null,
    cost_usd numeric not null,
    created_at timestamptz not null default now()
);
comment on table ops.cost_ledger is 'One row per paid or measured call: tokens, characters, seconds, dollars.';
create index cost_ledger_by_video on ops.cost_ledger (video_id);

create table ops.quota_ledger (
    provider text not null,
    day date not null,
    pool text not null default 'default',
    used bigint not null default 0,
    quota bigint not null,
    primary key (provider, day, pool)
);
comment on table ops.quota_ledger is 'One row per provider, day and quota pool. Spent before the call, not after.';

create table ops.dag_runs (
    dag_id text not null,
    run_id text not null,
    run_type text,
    state text not null,
    queued_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    note text,
    primary key (dag_id, run_id)
);
comment on table ops.dag_runs is 'One row per DAG run, written by a listener in Airflow.';
"""

_ML = """
create table ml.ml_models (
    id uuid primary key default gen_random_uuid(),
    model_name varchar(100) not null,
    model_type varchar(50) not null,
    version varchar(20) not null,
    mlflow_version integer,
    status varchar(20) default 'inactive',
    accuracy decimal(5,4),
    f1_score decimal(5,4),
    model_path text not null,
    config jsonb,
    hyperparameters jsonb,
    training_data_version varchar(64),
    created_at timestamptz default current_timestamp,
    deployed_at timestamptz,
    deprecated_at timestamptz,
    created_by varchar(100),
    metadata jsonb default '{}'::jsonb,
    unique (model_name, version)
);
comment on table ml.ml_models is 'One row per registered model version; a mirror of the MLflow registry.';
create index idx_ml_models_status on ml.ml_models (status);
create index idx_ml_models_type on ml.ml_models (model_type);
create index idx_ml_models_deployed on ml.ml_models (deployed_at desc);

create table ml.model_predictions (
    id uuid primary key default gen_random_uuid(),
    model_id uuid references ml.ml_models (id),
    prediction_type varchar(50) not null,
    entity_id text,
    as_of timestamptz,
    input_data jsonb not null,
    prediction jsonb not null,
    confidence decimal(5,4),
    latency_ms integer,
    cost decimal(10,4),
    actual_outcome jsonb,
    feedback_score decimal(3,2),
    created_at timestamptz default current_timestamp,
    metadata jsonb default '{}'::jsonb,
    unique (model_id, prediction_type, entity_id, as_of)
);
comment on table ml.model_predictions is 'One row per prediction of a model version for an entity as of a moment.';
create index idx_predictions_model on ml.model_predictions (model_id);
create index idx_predictions_type on ml.model_predictions (prediction_type);
create index idx_predictions_created on ml.model_predictions (created_at desc);
create index idx_predictions_confidence on ml.model_predictions (confidence);

create table ml.training_jobs (
    id uuid primary key default gen_random_uuid(),
    job_name varchar(200) not null unique,
    model_type varchar(50) not null,
    status varchar(20) default 'pending',
    dataset_path text not null,
    hyperparameters jsonb,
    metrics jsonb,
    best_metric decimal(5,4),
    started_at timestamptz,
    completed_at timestamptz,
    duration_seconds integer,
    error_message text,
    artifacts jsonb,
    created_by varchar(100),
    created_at timestamptz default current_timestamp,
    metadata jsonb default '{}'::jsonb
);
comment on table ml.training_jobs is 'One row per training run of the training DAGs.';
create index idx_training_status on ml.training_jobs (status);
create index idx_training_created on ml.training_jobs (created_at desc);

create table ml.model_performance_metrics (
    id uuid primary key default gen_random_uuid(),
    model_id uuid references ml.ml_models (id),
    metric_date date not null,
    predictions_count integer default 0,
    accuracy decimal(5,4),
    precision_score decimal(5,4),
    recall_score decimal(5,4),
    f1_score decimal(5,4),
    latency_p50_ms integer,
    latency_p95_ms integer,
    latency_p99_ms integer,
    error_count integer default 0,
    error_rate decimal(5,4),
    cost_total decimal(10,4),
    drift_score decimal(5,4),
    created_at timestamptz default current_timestamp,
    unique (model_id, metric_date)
);
comment on table ml.model_performance_metrics is 'One row per model version and day.';
create index idx_model_metrics_date on ml.model_performance_metrics (metric_date desc);
create index idx_model_metrics_model on ml.model_performance_metrics (model_id);

create table ml.content_embeddings (
    id uuid primary key default gen_random_uuid(),
    content_id varchar(255) not null,
    content_type varchar(50) not null,
    embedding vector(384),
    model_version varchar(50),
    created_at timestamptz default current_timestamp,
    metadata jsonb default '{}'::jsonb,
    unique (content_id, content_type, model_version)
);
comment on table ml.content_embeddings is 'One row per embedded text. 384 is the width of all-MiniLM-L6-v2.';
create index idx_content_embedding on ml.content_embeddings using hnsw (embedding vector_cosine_ops);

create table ml.topics (
    topic_id text primary key,
    label text not null,
    language text,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    created_at timestamptz not null default now()
);
comment on table ml.topics is 'One row per topic. The id stays the same from day to day.';

create table ml.topic_assignments (
    source text not null,
    content_id text not null,
    topic_id text not null references ml.topics (topic_id),
    similarity real not null,
    assigned_as_of timestamptz not null,
    primary key (source, content_id)
);
comment on table ml.topic_assignments is 'One row per source item: the topic it belongs to.';
create index topic_assignments_by_topic on ml.topic_assignments (topic_id);

create table ml.drift_reports (
    drift_report_id text primary key,
    model_name text not null,
    model_version text,
    reference_start timestamptz not null,
    reference_end timestamptz not null,
    current_start timestamptz not null,
    current_end timestamptz not null,
    columns_checked integer not null,
    columns_drifted integer not null,
    drift_share real not null,
    verdict text not null check (verdict in ('stable', 'drift')),
    report_key text not null,
    details jsonb not null default '{}'::jsonb,
    created_at timestamptz not null default now()
);
comment on table ml.drift_reports is 'One row per drift report; report_key is the HTML in the reports bucket.';
"""

_CONTENT = """
create table content.channels (
    channel_id text primary key,
    config jsonb not null,
    is_active boolean not null default true,
    updated_at timestamptz not null default now()
);
comment on table content.channels is 'One row per channel of ours.';

create table content.video_schedule (
    video_id text primary key,
    channel_id text not null,
    topic_id text not null,
    topic text not null,
    as_of timestamptz not null,
    publish_at timestamptz not null,
    forecast double precision not null,
    score double precision not null,
    model_name text not null,
    model_version text not null,
    reasons jsonb not null,
    brief jsonb not null,
    status text not null default 'scheduled'
        check (status in ('scheduled', 'generating', 'published', 'held', 'rejected', 'failed')),
    planned_at timestamptz not null default now(),
    unique (channel_id, topic_id, as_of)
);
comment on table content.video_schedule is 'One row per planned video. The id is a hash of channel, topic and as_of, so planning twice changes nothing.';

create table content.stage_results (
    video_id text not null,
    stage text not null,
    input_hash text not null,
    provider text not null,
    outputs jsonb not null,
    metrics jsonb not null default '{}'::jsonb,
    seconds double precision not null,
    cost_usd numeric not null default 0,
    finished_at timestamptz not null default now(),
    primary key (video_id, stage)
);
comment on table content.stage_results is 'One row per video and finished generation stage.';

create table content.videos (
    video_id text primary key,
    channel_id text not null,
    topic_id text not null,
    topic text not null,
    title text not null,
    verdict text not null check (verdict in ('published', 'held', 'rejected')),
    scores jsonb not null,
    duration_s double precision not null,
    files jsonb not null,
    local_path text,
    cost_usd numeric not null default 0,
    finished_at timestamptz not null default now()
);
comment on table content.videos is 'One row per finished video, published or held.';
"""


def upgrade() -> None:
    """Create everything. The `vector` extension is made by the bootstrap, which may be superuser."""
    for schema in _SCHEMAS:
        op.execute(f"create schema if not exists {schema}")
    for block in (_RAW, _OPS, _ML, _CONTENT):
        op.execute(block)


def downgrade() -> None:
    """Drop every schema of the application, with its data."""
    for schema in reversed(_SCHEMAS):
        if schema != "ops":
            op.execute(f"drop schema if exists {schema} cascade")
    for table in (
        "cursors",
        "dead_letters",
        "imports",
        "gate_results",
        "builds",
        "cost_ledger",
        "quota_ledger",
        "dag_runs",
    ):
        op.execute(f"drop table if exists ops.{table}")

"""Channels, publications, metrics, provenance and the reasons of a plan."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"

_TABLES = """
alter table content.channels
    add column quarantined_until timestamptz,
    add column quarantine_reason text;
comment on column content.channels.quarantined_until is
    'Nothing is published there before; set by a policy strike or a rejected upload.';
update content.channels
    set config = (config - 'videos_per_day')
        || jsonb_build_object('cadence', jsonb_build_object('videos_per_day', config -> 'videos_per_day'))
    where config ? 'videos_per_day';

alter table content.video_schedule
    add column rank integer,
    add column mean_probability double precision,
    add column videos_on_charts integer,
    add column views_on_charts bigint,
    add column interest_at_publish double precision,
    add column daily_growth double precision,
    add column audience_score double precision,
    add column niche_similarity double precision,
    add column similarity_to_past double precision,
    add column expected_cost_usd numeric,
    add column trend_rows jsonb not null default '[]'::jsonb,
    add column status_reason text,
    drop constraint video_schedule_status_check,
    add constraint video_schedule_status_check check (status in ('scheduled', 'generating',
        'published', 'held', 'rejected', 'failed', 'cancelled', 'unpublished'));
comment on column content.video_schedule.interest_at_publish is
    'Views a day that the topic is expected to gain when the video is out; the forecast carried on by daily_growth.';
comment on column content.video_schedule.trend_rows is
    'Keys of the raw rows that the facts of the brief come from.';

alter table content.videos
    drop constraint videos_verdict_check,
    add constraint videos_verdict_check check (verdict in ('published', 'held', 'rejected',
        'approved', 'unpublished'));
comment on column content.videos.verdict is
    'approved: passed the gate, and the upload is to come. unpublished: taken down.';

create table content.publications (
    video_id text not null,
    destination text not null check (destination in ('outbox', 'youtube')),
    status text not null check (status in ('uploading', 'published', 'rejected', 'unpublished')),
    external_id text,
    url text,
    session bytea,
    privacy text,
    published_at timestamptz,
    details jsonb not null default '{}'::jsonb,
    updated_at timestamptz not null default now(),
    primary key (video_id, destination)
);
comment on table content.publications is
    'One row per video and place where it is out. published_at is the destination''s clock; session is the encrypted address of an upload that is under way.';
create index publications_by_external_id on content.publications (external_id);

create table content.credentials (
    channel_id text not null,
    provider text not null,
    refresh_token bytea not null,
    scopes text[] not null,
    account text not null,
    created_at timestamptz not null default now(),
    primary key (channel_id, provider)
);
comment on table content.credentials is 'One row per channel and provider: its refresh token, encrypted.';

create table content.video_metrics (
    video_id text not null,
    horizon text not null check (horizon in ('1h', '24h', '7d')),
    due_at timestamptz not null,
    observed_at timestamptz not null,
    status text not null check (status in ('observed', 'missed', 'gone')),
    views bigint,
    likes bigint,
    comments bigint,
    average_view_s double precision,
    average_view_percent double precision,
    impressions bigint,
    click_through_rate double precision,
    is_synthetic boolean not null,
    primary key (video_id, horizon)
);
comment on table content.video_metrics is
    'One row per published video and horizon after publishing. A null was not reported; missed: nobody asked in time.';

create table content.video_reach_days (
    video_id text not null,
    day date not null,
    impressions bigint not null,
    clicks double precision not null,
    primary key (video_id, day)
);
comment on table content.video_reach_days is
    'One row per published video and Pacific day: how often its thumbnail was shown and clicked.';

create table content.provenance (
    sequence bigint generated always as identity primary key,
    video_id text not null,
    manifest text not null,
    manifest_sha256 text not null,
    previous_hash text not null,
    chain_hash text not null unique,
    created_at timestamptz not null default now(),
    unique (video_id, manifest_sha256)
);
comment on table content.provenance is
    'One row per manifest of a video, each chained to the one before: chain_hash is the SHA-256 of previous_hash, video_id and manifest_sha256.';
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Remove them; rows in the newer states become failed ones."""
    op.execute(
        """
drop table content.provenance, content.video_reach_days, content.video_metrics, content.credentials, content.publications;
update content.videos set verdict = 'held' where verdict in ('approved', 'unpublished');
alter table content.videos
    drop constraint videos_verdict_check,
    add constraint videos_verdict_check check (verdict in ('published', 'held', 'rejected'));
update content.video_schedule set status = 'failed' where status in ('cancelled', 'unpublished');
alter table content.video_schedule
    drop constraint video_schedule_status_check,
    add constraint video_schedule_status_check check (status in ('scheduled', 'generating',
        'published', 'held', 'rejected', 'failed')),
    drop column rank, drop column mean_probability, drop column videos_on_charts,
    drop column views_on_charts, drop column interest_at_publish, drop column daily_growth,
    drop column audience_score, drop column niche_similarity, drop column similarity_to_past,
    drop column expected_cost_usd, drop column trend_rows, drop column status_reason;
update content.channels
    set config = (config - 'cadence')
        || jsonb_build_object('videos_per_day', config -> 'cadence' -> 'videos_per_day');
alter table content.channels drop column quarantined_until, drop column quarantine_reason;
"""
    )

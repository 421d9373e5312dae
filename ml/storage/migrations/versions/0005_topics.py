"""Topics that merge, split, go dormant, and say in phrases what they are about."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

_UP = """
alter table ml.topics
    add column status text not null default 'active'
        check (status in ('active', 'dormant', 'merged')),
    add column merged_into text references ml.topics (topic_id),
    add column items integer not null default 0,
    add column keywords jsonb not null default '[]',
    add check ((status = 'merged') = (merged_into is not null));
comment on column ml.topics.status is 'active, dormant (not seen for a month; takes no more items), or merged.';
comment on column ml.topics.merged_into is 'The topic that took the items of a merged one; never a merged one itself.';
comment on column ml.topics.keywords is 'Phrases that set it apart from other topics, best first.';
create index topics_active on ml.topics (last_seen_at) where status = 'active';

alter table ml.topic_assignments
    add column title text,
    add column tags jsonb not null default '[]',
    add column language text,
    add column first_seen_at timestamptz;
comment on column ml.topic_assignments.title is 'The cleaned title that the item was assigned by.';
comment on column ml.topic_assignments.assigned_as_of is 'When the item got its first topic; a merge or a split leaves it.';

create table ml.topic_changes (
    topic_id text not null references ml.topics (topic_id),
    kind text not null check (kind in ('merge', 'split')),
    other_topic_id text not null references ml.topics (topic_id),
    as_of timestamptz not null,
    items integer not null,
    primary key (topic_id, kind, other_topic_id, as_of)
);
comment on table ml.topic_changes is
    'One row per merge (topic_id went up in other_topic_id) or split (other_topic_id was parted from topic_id), with the items that moved.';

-- Until now the embedding of a topic's first item stood for it.
update ml.content_embeddings set content_type = 'topic_centroid' where content_type = 'topic_leader';
update ml.topics set items = counted.items
from (select topic_id, count(*) as items from ml.topic_assignments group by topic_id) as counted
where counted.topic_id = topics.topic_id;
"""

_DOWN = """
delete from ml.content_embeddings where content_type = 'topic_anchor';
update ml.content_embeddings set content_type = 'topic_leader' where content_type = 'topic_centroid';
drop table ml.topic_changes;
alter table ml.topic_assignments
    drop column title, drop column tags, drop column language, drop column first_seen_at;
comment on column ml.topic_assignments.assigned_as_of is null;
drop index ml.topics_active;
alter table ml.topics
    drop column status, drop column merged_into, drop column items, drop column keywords;
"""


def upgrade() -> None:
    """Add what merging and splitting need; topics that are there keep their ids."""
    op.execute(_UP)


def downgrade() -> None:
    """Go back to topics that only grow. What merged stays merged."""
    op.execute(_DOWN)

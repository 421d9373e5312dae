"""The run that a retraining was granted to; how break patterns are matched."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"

_UP = """
alter table ml.retrain_requests add column run_id text;
comment on column ml.retrain_requests.run_id is
    'The run of watch_drift that asked; a grant is for this run alone. Null before it was kept.';
comment on table ml.definition_breaks is
    'One row per day on which a provider changed what a field means; columns are names of the features it reaches, in which % stands for any text. Drift across it is not taken for behaviour.';
"""
_DOWN = """
alter table ml.retrain_requests drop column run_id;
comment on table ml.definition_breaks is
    'One row per day on which a provider changed what a field means; columns are LIKE patterns of the features it reaches. Drift across it is not taken for behaviour.';
"""


def upgrade() -> None:
    """Add the column; requests of before belong to no run."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop it."""
    op.execute(_DOWN)

"""A decision that is taken back has an audit row of its own."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"

_ACTIONS = (
    "registered", "validated", "refused", "alias_moved", "approved", "rejected",
    "rollout_started", "rollout_moved", "rollout_ended", "frozen", "unfrozen",
)  # fmt: skip
_CHECK = "release_audit_action_check"


def upgrade() -> None:
    """Allow the action."""
    _allow((*_ACTIONS, "reopened"))


def downgrade() -> None:
    """Allow it no more; rows that have it stay, as all rows of an audit do."""
    _allow(_ACTIONS, " not valid")


def _allow(actions: tuple[str, ...], how: str = "") -> None:
    told = ", ".join(f"'{action}'" for action in actions)
    op.execute(f"alter table ml.release_audit drop constraint {_CHECK}")
    op.execute(
        f"alter table ml.release_audit add constraint {_CHECK} check (action in ({told})){how}"
    )

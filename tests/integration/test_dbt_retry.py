"""A layer that failed is built again from where it failed, model by model."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ml.exceptions import FatalError
from ml.storage import postgres
from ml.warehouse import build_models

_AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
_BELOW = ["+int_topic_observations,path:models/staging"]
_LAYER = ["+int_topic_observations,path:models/intermediate"]


def test_a_retry_builds_what_failed_and_nothing_else(own_database):
    build_models(_BELOW, as_of=_AS_OF, run_id="first")
    _rename("topic_assignments", "topic_assignments_away")
    try:
        with pytest.raises(FatalError, match="int_topic_items"):
            build_models(_LAYER, as_of=_AS_OF, run_id="first")
    finally:
        _rename("topic_assignments_away", "topic_assignments")
    mended = set(build_models(_LAYER, as_of=_AS_OF, run_id="first").models)
    # What failed, and what waited for it.
    assert mended == {"int_topic_items", "int_topic_observations"}
    whole = build_models(_LAYER, as_of=_AS_OF, run_id="second").models
    assert {"int_videos", "int_topic_items"} < set(whole)


def _rename(name, other):
    with postgres.connect() as conn:
        conn.execute(f"alter table ml.{name} rename to {other}")

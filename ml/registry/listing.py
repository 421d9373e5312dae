"""What people and other tools are shown of the registry."""

from __future__ import annotations

import json
from typing import Any

from ml.exceptions import FatalError
from ml.registry import releases
from ml.registry.aliases import AUDIT_HEAD
from ml.registry.tracking import client, reachable
from ml.settings import Settings
from ml.storage.postgres import transaction

_SINCE = """
    select to_version, max(at)
    from ml.release_audit
    where model_name = %s and action = 'alias_moved' and to_version is not null
    group by to_version
"""


def listed(name: str, settings: Settings) -> list[dict[str, Any]]:
    """Every release, newest first.

    Returns:
        `version`, `aliases`, `since` (when an alias last came to it; None if none ever did) and
        `metrics` of its test part; beside them `mlflow_version`, `decision` and `reason`.

    Raises:
        FatalError: if there is no such model.
    """
    with reachable():
        found = releases.all_releases(name, settings)
    if not found:
        raise FatalError(f"no version of {name} is registered; `ytempire train` makes one")
    with transaction(settings.require("database_url")) as conn:
        since = dict(conn.execute(_SINCE, (name,)).fetchall())
    return [
        {
            "version": release.version,
            "aliases": list(release.aliases),
            "since": since.get(release.mlflow_version),
            "metrics": json.loads(release.tags.get("metrics", "{}")).get("model", {}),
            "mlflow_version": release.mlflow_version,
            "decision": release.decision,
            "reason": release.reason,
        }
        for release in found
    ]


def known_heads(settings: Settings) -> dict[str, str]:
    """By model the hash of the audit that MLflow was last told."""
    with reachable():
        models = client(settings).search_registered_models(max_results=1000)
    return {model.name: model.tags[AUDIT_HEAD] for model in models if AUDIT_HEAD in model.tags}

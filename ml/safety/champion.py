"""The champion of a model, or the reason why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml.settings import Settings
from ml.storage.postgres import connect

if TYPE_CHECKING:
    from ml.registry.releases import Release


def champion_of(name: str, settings: Settings) -> tuple[Any, Release] | str:
    """Load a champion, or say why it cannot be asked.

    The mirror of the registry is looked at first: opening MLflow takes seconds.

    Raises:
        ServiceUnavailableError: if there is a champion and the registry does not answer.
    """
    if settings.database_url is None or settings.mlflow_tracking_uri is None:
        return "there is no model registry"
    with connect(settings.database_url) as conn:
        known = conn.execute(
            "select 1 from ml.ml_models where model_name = %s and status = 'champion'", (name,)
        ).fetchone()
    if known is None:
        return f"{name} has no champion yet"
    from ml.registry.releases import champion, load

    release = champion(name, settings)
    if release is None:
        return f"{name} has no champion yet"
    return load(release, settings), release

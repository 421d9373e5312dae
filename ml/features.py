"""The feature store: apply the definitions, join for training, materialise, read online.

Importing Feast takes seconds, so it happens inside the functions.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import string
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from sqlalchemy.engine import make_url

from ml.exceptions import ConfigurationError, MissingFeatureError, ServiceUnavailableError
from ml.settings import PROJECT_ROOT, Settings, get_settings

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore

log = logging.getLogger(__name__)

REPOSITORY = PROJECT_ROOT / "feature_repo"
# A view without a TTL would put every video ever seen online. Charts rarely list a video for
# longer than this, and one that is missing raises instead of being served without its profile.
_UNLIMITED_ONLINE = timedelta(days=60)


def open_store(settings: Settings | None = None) -> FeatureStore:
    """Open the feature store that `feature_repo/feature_store.yaml` describes.

    Feast never closes the connections of a store: who needs one often keeps it.

    Raises:
        ConfigurationError: if a setting it needs has no value.
        ServiceUnavailableError: if the registry's database does not answer.
    """
    from feast import FeatureStore, RepoConfig

    config = yaml.safe_load((REPOSITORY / "feature_store.yaml").read_text())
    values = _placeholders(settings or get_settings())
    with _translated():
        return FeatureStore(config=RepoConfig(**_filled(config, values), repo_path=REPOSITORY))


def apply(settings: Settings | None = None) -> dict[str, int]:
    """Register entities, sources, feature views and services; what is there already stays.

    Returns:
        How many objects of each kind the repository defines.
    """
    from feast import Entity, FeatureService, FeatureView
    from feast.data_source import DataSource
    from feast.on_demand_feature_view import OnDemandFeatureView

    kinds = {
        "data_sources": DataSource,
        "entities": Entity,
        "feature_views": FeatureView,
        "on_demand_feature_views": OnDemandFeatureView,
        "feature_services": FeatureService,
    }
    found = {name: _definitions(kind) for name, kind in kinds.items()}
    with _translated():
        open_store(settings).apply([item for items in found.values() for item in items])
    counts = {name: len(items) for name, items in found.items()}
    log.info("feature store: applied %s", counts)
    return counts


def materialise(
    start: datetime | None,
    end: datetime,
    settings: Settings | None = None,
    *,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Copy the newest row of each entity within [start, end] to the online store.

    Feast writes a row only if it is newer than the one that is there, so a failed or repeated run
    leaves the last good values.

    Args:
        start: first event time; None takes each view's own time to live back from `end`.
        end: last event time, usually `as_of`.
        settings: those of the process by default.
        only: names of feature views; all by default.

    Returns:
        The seconds that each feature view took.
    """
    store = open_store(settings)
    seconds: dict[str, Any] = {}
    for view in store.list_feature_views():
        if only and view.name not in only:
            continue
        begin = time.monotonic()
        first = start or end - (view.ttl or _UNLIMITED_ONLINE)
        # Feast reports by print, and standard output may be JSON for a machine.
        with _translated(), contextlib.redirect_stdout(io.StringIO()):
            store.materialize(start_date=first, end_date=end, feature_views=[view.name])
        seconds[view.name] = round(time.monotonic() - begin, 2)
        log.info("materialised %s from %s to %s in %s s", view.name, first, end, seconds[view.name])
    return seconds


def training_frame(
    entities: pd.DataFrame | str,
    service: str,
    settings: Settings | None = None,
    *,
    only_available: bool = True,
) -> pd.DataFrame:
    """Join the features of `service` to `entities` as they were known at each row's time.

    Args:
        entities: a frame, or a SQL query, with the join keys and `event_timestamp`; its further
            columns are kept.
        service: name of a feature service.
        settings: those of the process by default.
        only_available: leave out rows that became available after `event_timestamp`. Turning this
            off leaks late data; tests do, to show that it would.

    Returns:
        One row per entity row: its own columns and the service's features, missing ones as null.
    """
    store = open_store(settings)
    with _translated(), warnings.catch_warnings():
        # Feast reads the query's columns through pandas with a plain psycopg connection.
        warnings.filterwarnings("ignore", message="pandas only supports SQLAlchemy")
        job = store.get_historical_features(
            entity_df=entities,
            features=store.get_feature_service(service),
            filter_by_created_timestamp=only_available,
        )
        frame: pd.DataFrame = job.to_df()
    return frame


def push(source: str, frame: pd.DataFrame, store: FeatureStore) -> None:
    """Write rows that a stream has computed to the online store, where no newer one is there.

    Args:
        source: name of a push source.
        frame: join key, event time, created time and features, as in the source's table.
        store: an open store.
    """
    from feast.data_source import PushMode

    with _translated():
        store.push(source, frame, to=PushMode.ONLINE)


def online_features(
    service: str,
    entity_ids: Sequence[str],
    settings: Settings | None = None,
    store: FeatureStore | None = None,
    *,
    entity: str = "video",
    request: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Read the features of `service` from the online store, one dict per entity in order.

    Args:
        service: name of a feature service.
        entity_ids: what to read.
        settings: those of the process by default.
        store: an open store; pass one when calling often.
        entity: what the service's features are about.
        request: of each entity the values that only the caller knows, where the service has
            features on demand.

    Raises:
        MissingFeatureError: if an entity has no value for a feature that is not nullable.
    """
    store = store or open_store(settings)
    key = f"{entity}_id"
    with _translated():
        definition = store.get_feature_service(service)
        known = request or [{}] * len(entity_ids)
        entities = [{key: each, **values} for each, values in zip(entity_ids, known, strict=True)]
        answer = store.get_online_features(features=definition, entity_rows=entities).to_dict()
    names = list(answer)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*answer.values(), strict=True)]
    required = required_features(store, service)
    for row in rows:
        require(row, required, f"{entity} {row[key]} in the online store")
    return rows


def required_features(store: FeatureStore, service: str) -> list[str]:
    """Names of the features of `service` that may not be missing."""
    return [
        field.name
        for projection in store.get_feature_service(service).feature_view_projections
        for field in projection.features
        if field.tags.get("nullable") == "false"
    ]


def require(row: Mapping[str, Any], required: Sequence[str], what: str) -> None:
    """Raise if a required feature of `row` is missing.

    Raises:
        MissingFeatureError: naming the features and `what` they belong to.
    """
    missing = [name for name in required if row.get(name) is None]
    if missing:
        raise MissingFeatureError(
            f"{what} has no {', '.join(missing[:5])}"
            f"{' and others' if len(missing) > 5 else ''}; materialise the interval that holds it"
        )


def _definitions(kind: type) -> list[Any]:
    """All objects of `kind` that the modules of the feature repository define."""
    if str(PROJECT_ROOT) not in sys.path:
        sys.path.append(str(PROJECT_ROOT))
    found: dict[int, Any] = {}
    for path in sorted(Path(REPOSITORY).glob("*.py")):
        module = importlib.import_module(f"{REPOSITORY.name}.{path.stem}")
        found.update({id(v): v for v in vars(module).values() if isinstance(v, kind)})
    return list(found.values())


def _placeholders(settings: Settings) -> dict[str, str]:
    database = make_url(settings.require("database_url"))
    registry = make_url(settings.database("feast")).set(drivername="postgresql+psycopg")
    sslmode = database.query.get("sslmode", "prefer")
    return {
        "FEAST_REGISTRY_URL": registry.render_as_string(hide_password=False),
        "POSTGRES_HOST": database.host or "127.0.0.1",
        "POSTGRES_PORT": str(database.port or 5432),
        "POSTGRES_DATABASE": database.database or "ytempire",
        "POSTGRES_USER": database.username or "",
        "POSTGRES_PASSWORD": str(database.password or ""),
        "POSTGRES_SSLMODE": sslmode if isinstance(sslmode, str) else sslmode[0],
        "REDIS_CONNECTION": _redis_connection(settings.require("redis_url")),
    }


def _redis_connection(url: str) -> str:
    """Turn `redis://user:password@host:port/db` into Feast's comma-separated form."""
    parts = make_url(url)
    options = {
        "username": parts.username,
        "password": parts.password,
        "db": parts.database or "0",
        "ssl": "true" if parts.drivername == "rediss" else None,
    }
    if "," in str(parts.password or ""):
        raise ConfigurationError("REDIS_URL: Feast cannot use a password that holds a comma")
    joined = "".join(f",{name}={value}" for name, value in options.items() if value)
    return f"{parts.host}:{parts.port or 6379}{joined}"


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """Replace `${NAME}` in every string below `value`; whole numbers become numbers."""
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if not isinstance(value, str) or "${" not in value:
        return value
    text = string.Template(value).substitute(values)
    return int(text) if value == "${POSTGRES_PORT}" else text


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the connection errors of Feast's stores into ours, without their URLs."""
    import psycopg
    import redis
    import sqlalchemy.exc

    try:
        yield
    except (psycopg.OperationalError, sqlalchemy.exc.OperationalError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[-1]
        raise ServiceUnavailableError(f"feature store, Postgres: {reason}") from error
    except redis.exceptions.RedisError as error:
        raise ServiceUnavailableError(f"feature store, online store: {error}") from error

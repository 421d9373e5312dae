"""Layouts as Feast's definitions give them. Importing Feast takes seconds: inside functions."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ml.exceptions import ConfigurationError
from ml.features import REPOSITORY
from ml.serving.layouts import Layout, UnknownFeatureError

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView, Field


def definitions_digest() -> str:
    """Hash of the feature repository that this code came with."""
    digest = hashlib.sha256()
    for path in sorted(REPOSITORY.glob("*.*")):
        if path.suffix in (".py", ".yaml"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def as_json(layout: Layout) -> dict[str, Any]:
    """A layout as JSON can hold it."""
    return asdict(layout) | {
        "fields": [field.hex() for field in layout.fields],
        "views": [(name, ttl and ttl.total_seconds()) for name, ttl in layout.views],
        "head": layout.head.hex(),
        "tail": layout.tail.hex(),
    }


def from_json(kept: dict[str, Any]) -> Layout:
    """The layout that `as_json` gave."""
    return Layout(
        source=kept["source"],
        join_key=kept["join_key"],
        names=tuple(kept["names"]),
        fields=tuple(map(bytes.fromhex, kept["fields"])),
        views=tuple((name, ttl and timedelta(seconds=ttl)) for name, ttl in kept["views"]),
        required=tuple((name, place) for name, place in kept["required"]),
        head=bytes.fromhex(kept["head"]),
        tail=bytes.fromhex(kept["tail"]),
    )


def lay_out(store: FeatureStore, references: tuple[str, ...]) -> Layout:
    """Look up a service by name, or features as `view:feature`.

    Raises:
        UnknownFeatureError: if one is not registered or they are of different entities.
        ConfigurationError: if the store is kept in a way that is not read here.
    """
    views = _chosen(store, references)
    keys = {key for view, _ in views for key in view.join_keys}
    if len(keys) != 1:
        raise UnknownFeatureError(
            f"these features are of {', '.join(sorted(keys))}; ask for one entity at a time"
        )
    key = keys.pop()
    if store.config.entity_key_serialization_version != 3:
        raise ConfigurationError("feature_store.yaml: entity_key_serialization_version must be 3")
    fields = [field for _, fields in views for field in fields]
    names = tuple(field.name for field in fields)
    if len(set(names)) < len(names):
        raise UnknownFeatureError("two of these features have one name; ask for them apart")
    head, tail = _key_parts(store, key)
    return Layout(
        source=",".join(references),
        join_key=key,
        names=names,
        fields=_hash_fields(store, views),
        views=tuple((view.name, view.ttl or None) for view, _ in views),
        required=tuple(
            (field.name, place)
            for place, field in enumerate(fields)
            if field.tags.get("nullable") == "false"
        ),
        head=head,
        tail=tail,
    )


def _chosen(
    store: FeatureStore, references: tuple[str, ...]
) -> list[tuple[FeatureView, list[Field]]]:
    """The views that are asked for, each with the features of it that are."""
    from feast.errors import FeastObjectNotFoundException

    wanted: dict[str, list[str]] = {}
    try:
        if len(references) == 1 and ":" not in references[0]:
            service = store.get_feature_service(references[0])
            for projection in service.feature_view_projections:
                wanted[projection.name] = [feature.name for feature in projection.features]
        else:
            for reference in references:
                view, _, feature = reference.partition(":")
                wanted.setdefault(view, []).append(feature)
        views = [store.get_feature_view(name) for name in wanted]
    except FeastObjectNotFoundException as error:
        raise UnknownFeatureError(str(error)) from error
    return [(view, _named(view, wanted[view.name])) for view in views]


def _named(view: FeatureView, names: Sequence[str]) -> list[Field]:
    known = {feature.name: feature for feature in view.features}
    if absent := [name for name in names if name not in known]:
        raise UnknownFeatureError(f"{view.name} has no feature {', '.join(map(repr, absent[:5]))}")
    return [known[name] for name in names]


def _hash_fields(
    store: FeatureStore, views: Sequence[tuple[FeatureView, list[Field]]]
) -> tuple[bytes, ...]:
    from feast.infra.online_stores.helpers import _mmh3

    def hashed(text: str) -> bytes:
        field: bytes = _mmh3(text)
        return field

    if store.config.registry.enable_online_feature_view_versioning:
        raise ConfigurationError("feature views with online versions are not read here")
    return (
        *(hashed(f"{view.name}:{field.name}") for view, fields in views for field in fields),
        *(f"_ts:{view.name}".encode() for view, _ in views),
    )


def _key_parts(store: FeatureStore, join_key: str) -> tuple[bytes, bytes]:
    """Split a key that Feast makes into what stands before and after the id."""
    from feast.infra.online_stores.helpers import _redis_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    probe = "entity"
    key: bytes = _redis_key(
        store.project,
        EntityKey(join_keys=[join_key], entity_values=[Value(string_val=probe)]),
        entity_key_serialization_version=3,
    )
    head, _, tail = key.partition(struct.pack("<I", len(probe)) + probe.encode())
    return head, tail

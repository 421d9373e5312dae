"""Releases of models: MLflow versions with aliases, mirrored to Postgres."""

from __future__ import annotations

from ml.registry.tracking import client

__all__ = ["client"]

"""The warehouse: dbt builds the marts, and one transaction publishes a build that passed."""

from __future__ import annotations

from ml.warehouse.manifest import write_manifest
from ml.warehouse.publish import MARTS_STORE, Publication, mart_names, publish_marts
from ml.warehouse.transform import (
    DBT_PROJECT_DIR,
    DbtSummary,
    dbt_arguments,
    dbt_env,
    run_dbt,
)

__all__ = [
    "DBT_PROJECT_DIR",
    "MARTS_STORE",
    "DbtSummary",
    "Publication",
    "dbt_arguments",
    "dbt_env",
    "mart_names",
    "publish_marts",
    "run_dbt",
    "write_manifest",
]

"""The warehouse: dbt builds the marts, and one transaction publishes a build that passed."""

from __future__ import annotations

from ml.warehouse.docs import DOCS_KEY, publish_docs
from ml.warehouse.publish import MARTS_STORE, Publication, mart_names, publish_marts
from ml.warehouse.transform import (
    DBT_PROJECT_DIR,
    DbtSummary,
    build_models,
    dbt_arguments,
    dbt_env,
    model_ids,
    run_dbt,
)

__all__ = [
    "DBT_PROJECT_DIR",
    "DOCS_KEY",
    "MARTS_STORE",
    "DbtSummary",
    "Publication",
    "build_models",
    "dbt_arguments",
    "dbt_env",
    "mart_names",
    "model_ids",
    "publish_docs",
    "publish_marts",
    "run_dbt",
]

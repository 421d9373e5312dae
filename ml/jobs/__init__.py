"""Long work that the HTTP API hands to Airflow: `run` does it, one module a kind."""

from __future__ import annotations

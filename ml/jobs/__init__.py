"""Long work that the HTTP API hands to Airflow: `store` is a job's row, `run` does the work."""

from __future__ import annotations

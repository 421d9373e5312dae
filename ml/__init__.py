"""ytempire: everything that does not need Airflow."""

from __future__ import annotations

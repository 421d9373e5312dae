"""What is Airflow's: assets, defaults, the listener, shared DAG parts."""

from __future__ import annotations

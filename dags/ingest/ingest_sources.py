"""One DAG a source family: `ingest_youtube`, `ingest_reddit` and so on.

They are generated from `ml.sources.families`; what a family does is shown in its own DAG's docs.
"""

from __future__ import annotations

from ytempire_airflow.ingest import ingest_dag

from ml.sources.families import FAMILIES

for family in FAMILIES:
    globals()[f"ingest_{family.name}"] = ingest_dag(family)

"""From a version that passed the gates to a champion, beside the one that serves.

Starts when a training made a version that has to prove itself on live traffic, or by hand with a
model and a version. A `major` version first waits for a person: the task *approve* shows the
comparison and takes the answer. Then a share of the callers is given the version, its errors,
latency, accuracy and scores are checked every minute, and it becomes champion or is rolled back.
Every step is in the audit (`ytempire audit show`).
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, dag, task
from ytempire_airflow.assets import RELEASE_CANDIDATES
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.rollouts import RollOutOperator

_FACTS = "ti.xcom_pull(task_ids='compare')"


@dag(
    schedule=[RELEASE_CANDIDATES],
    max_active_runs=8,  # one a model: what waits for a person must not hold the others up
    default_args=DEFAULT_ARGS,
    tags=["train", "release"],
    params={
        "model": Param(None, type=["null", "string"], description="the training's by default"),
        "version": Param(None, type=["null", "string"]),
        "strategy": Param("default", enum=["default", "canary", "blue_green", "shadow"]),
    },
    doc_md=__doc__,
)
def roll_out_model():
    @task
    def compare(params: dict[str, Any], **context: Any) -> dict[str, Any]:
        from ytempire_airflow.candidates import compared

        return compared(params, context)

    @task(outlets=[RELEASE_CANDIDATES])
    def pass_on(facts: dict[str, Any], **context: Any) -> None:
        """Give candidates of other models, which came at the same moment, a run of their own."""
        from airflow.sdk.exceptions import AirflowSkipException

        if not facts["waiting"]:
            raise AirflowSkipException("it came alone")
        context["outlet_events"][RELEASE_CANDIDATES].extra = {"waiting": facts["waiting"]}

    @task.branch
    def who_decides(facts: dict[str, Any]) -> str:
        return "approve" if facts["needs_approval"] else "clear"

    @task(trigger_rule="none_failed_min_one_success")
    def clear(facts: dict[str, Any], **context: Any) -> dict[str, Any]:
        from ytempire_airflow.candidates import cleared

        return cleared(facts, context["ti"].xcom_pull(task_ids="approve"))

    approve = HITLOperator(
        task_id="approve",
        subject=f"Release {{{{ {_FACTS}['model'] }}}} {{{{ {_FACTS}['version'] }}}}?",
        body=f"{{{{ {_FACTS}['report'] }}}}",
        options=["Approve", "Reject"],
    )
    facts = compare()
    decision = clear(facts)
    pass_on(facts)
    who_decides(facts) >> [approve, decision]
    approve >> decision
    RollOutOperator(task_id="roll_out", candidate=decision)


roll_out_model()

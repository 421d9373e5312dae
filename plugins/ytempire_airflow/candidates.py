"""What `roll_out_model` knows of its candidate, and what a person answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from ytempire_airflow.assets import RELEASE_CANDIDATES


def compared(params: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The candidate of the run, validated against what serves now.

    Returns:
        `model`, `version`, `strategy`, `actor`, `needs_approval`, `report` (Markdown), and as
        `waiting` the candidates of other models that Airflow gave to the same run.

    Raises:
        FatalError: if the gates refuse it.
    """
    from ml.exceptions import FatalError
    from ml.registry import promotion, releases
    from ml.registry.validation import validate
    from ml.settings import get_settings

    settings = get_settings()
    name, version, waiting = params["model"], params["version"], []
    if not (name and version):
        (name, version), *waiting = newest(context["triggering_asset_events"][RELEASE_CANDIDATES])
    release = releases.find(name, version, settings)
    report = validate(name, version, settings)
    if not report.passed:
        raise FatalError(f"{name} {report.version} is refused: " + "; ".join(report.failures))
    strategy = params["strategy"]
    return {
        "model": name,
        "version": report.version,
        "strategy": settings.rollout_strategy if strategy == "default" else strategy,
        "actor": f"{context['dag'].dag_id} {context['run_id']}",
        "needs_approval": promotion.needs_approval(release, releases.champion(name, settings)),
        "report": report.as_markdown(),
        "waiting": waiting,
    }


def newest(events: Sequence[Any]) -> list[tuple[str, str]]:
    """The newest candidate of each model, as names and versions.

    Args:
        events: each about one candidate, or about those that waited for a run of their own.

    Raises:
        FatalError: if there are none.
    """
    from ml.exceptions import FatalError

    told = [event.extra for event in events]
    found = dict(
        pair
        for extra in told
        for pair in extra.get("waiting", [(extra.get("model"), extra.get("version"))])
    )
    if not found:
        raise FatalError("say which model and version: trigger the DAG with both")
    return list(found.items())


def cleared(facts: dict[str, Any], answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The candidate with `approved`, and who did; the report stays behind.

    Raises:
        AirflowSkipException: if a person is against it; the registry and the audit say so.
    """
    wanted = {name: value for name, value in facts.items() if name not in ("report", "waiting")}
    if answer is None:
        return wanted | {"approved": False}
    from ml.registry import audit, promotion, releases
    from ml.registry.audit import Cause
    from ml.settings import get_settings

    person = (answer.get("responded_by_user") or {}).get("name") or "a user of Airflow"
    name, version = wanted["model"], wanted["version"]
    if answer["chosen_options"] != ["Approve"]:
        promotion.reject(name, version, Cause(person, f"rejected in {wanted['actor']}"))
        raise AirflowSkipException(f"{name} {version} was rejected by {person}")
    settings = get_settings()
    release = releases.find(name, version, settings)
    cause = Cause(person, f"approved in {wanted['actor']}")
    about = (release.mlflow_version, release.version)
    audit.record("approved", name, cause, settings, about)
    return wanted | {"approved": True, "actor": person}

"""The dbt graph as Airflow tasks, model by model."""

from __future__ import annotations

from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import InvocationMode, LoadMode, TestBehavior

from ml.settings import PROJECT_ROOT, get_settings

_PROJECT = PROJECT_ROOT / "dbt_project"


def dbt_models(group_id: str, select: list[str]) -> DbtTaskGroup:
    """Group of one task a model; a model's tests run in its task, right after it.

    The models see "now" as the return value of the DAG's task `resolve_as_of`. The login comes
    from environment variables, so that no password shows in rendered templates.

    Args:
        group_id: id of the task group.
        select: dbt selectors, for example `path:models/staging`.
    """
    return DbtTaskGroup(
        group_id=group_id,
        project_config=ProjectConfig(
            manifest_path=get_settings().dbt_manifest, project_name="ytempire"
        ),
        profile_config=ProfileConfig(
            profile_name="ytempire",
            target_name="main",
            profiles_yml_filepath=_PROJECT / "profiles.yml",
        ),
        execution_config=ExecutionConfig(
            dbt_project_path=_PROJECT, invocation_mode=InvocationMode.DBT_RUNNER
        ),
        render_config=RenderConfig(
            select=select,
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.BUILD,
            emit_datasets=False,
        ),
        operator_args={
            "vars": {"as_of": "{{ ti.xcom_pull(task_ids='resolve_as_of') }}"},
            "append_env": True,
            "install_deps": False,
        },
    )

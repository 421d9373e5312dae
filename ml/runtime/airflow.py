"""Airflow's configuration for the embedded profile, as environment variables."""

from __future__ import annotations

import json

from sqlalchemy.engine import make_url

from ml.runtime.state import State
from ml.settings import PROJECT_ROOT, Settings
from ml.warehouse import dbt_env

# A 2-core machine: two tasks run while a third starts.
_PARALLELISM = 3


def airflow_environment(state: State, settings: Settings) -> dict[str, str]:
    """Variables for every Airflow process, and for `ytempire airflow`."""
    secrets = state.secrets
    url = f"http://127.0.0.1:{state.ports['airflow']}"
    database = make_url(settings.database("airflow")).set(drivername="postgresql+psycopg2")
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": PROJECT_ROOT / "dags",
            "plugins_folder": PROJECT_ROOT / "plugins",
            "executor": "LocalExecutor",
            "parallelism": _PARALLELISM,
            "max_active_tasks_per_dag": _PARALLELISM,
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "auth_manager": (
                "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
            ),
            "simple_auth_manager_users": "admin:admin,viewer:viewer",
            "simple_auth_manager_all_admins": False,
            "simple_auth_manager_passwords_file": state.conf / "airflow-passwords.json",
            "execution_api_server_url": f"{url}/execution/",
            "fernet_key": secrets["airflow_fernet"],
        },
        "database": {"sql_alchemy_conn": database.render_as_string(hide_password=False)},
        "api": {
            "base_url": url,
            "workers": 1,
            "secret_key": secrets["airflow_api"],
        },
        "api_auth": {"jwt_secret": secrets["airflow_jwt"]},
        "scheduler": {
            "scheduler_idle_sleep_time": 0.1,
            # Tasks of a killed scheduler are found dead after a minute instead of five.
            "task_instance_heartbeat_timeout": 60,
            "task_instance_heartbeat_timeout_detection_interval": 5,
            "orphaned_tasks_check_interval": 30,
        },
        # At the default of 5 s, one task in three stalls until its supervisor's next heartbeat.
        "workers": {"min_heartbeat_interval": 1},
        "dag_processor": {"refresh_interval": 10, "min_file_process_interval": 30},
        "logging": {"base_log_folder": state.logs / "airflow"},
    }
    environment = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, values in sections.items()
        for name, value in values.items()
    }
    # dbt's login travels in the environment, so that no password shows in a rendered template.
    return (
        environment
        | dbt_env(settings)
        | {
            "AIRFLOW_HOME": str(state.data / "airflow"),
            "YTEMPIRE_STATE_DIR": str(state.root),
            "DO_NOT_TRACK": "1",
        }
    )


def airflow_passwords(state: State) -> str:
    """Content of the simple auth manager's password file."""
    secrets = state.secrets
    return json.dumps({"admin": secrets["airflow_admin"], "viewer": secrets["airflow_viewer"]})

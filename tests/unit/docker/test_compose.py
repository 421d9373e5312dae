"""The compose file against its published schema, the code it starts, and its own .env.example."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from dockerfile_reader import command, read

from ml.settings import PROJECT_ROOT, Settings
from ml.streaming.streams import SERVICES

_FOLDER = PROJECT_ROOT / "docker"
_TEXT = (_FOLDER / "compose.yaml").read_text()
_COMPOSE: dict[str, Any] = yaml.safe_load(_TEXT)
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_OURS = {name: service for name, service in _SERVICES.items() if "build" in service}
_EXAMPLE = (_FOLDER / ".env.example").read_text()
_TARGETS = read(_FOLDER / "Dockerfile")
# The embedded profile's own, or what the images and the names of databases and buckets say.
_FIXED_HERE = {
    "YTEMPIRE_STATE_DIR", "YTEMPIRE_DATA_DIR", "YTEMPIRE_PORTS", "YTEMPIRE_OUTBOX_DIR",
    "YTEMPIRE_AIRFLOW_DATABASE_URL", "YTEMPIRE_MLFLOW_DATABASE_URL",
    "YTEMPIRE_MLFLOW_AUTH_DATABASE_URL", "YTEMPIRE_S3_REGION", "YTEMPIRE_BUCKET_PREFIX",
    "MLFLOW_EXPERIMENT_NAME", "YTEMPIRE_AIRFLOW_USERNAME", "YTEMPIRE_WORLD_FAULTS",
    "YTEMPIRE_WORLD_DAILY_QUOTA", "YTEMPIRE_API_DATABASE_URL", "YTEMPIRE_STREAMING",
    "MODEL_CACHE_DIR", "YTEMPIRE_GPU_POD_FILE",
}  # fmt: skip
# Read by dbt's profile, by libraries, or by the images themselves.
_OTHER_VARIABLES = re.compile(
    r"AIRFLOW__|YTEMPIRE_DBT_|DBT_ENV_SECRET_|MLFLOW_|AWS_|HF_HUB_OFFLINE$|DO_NOT_TRACK$"
)


def test_compose_file_follows_the_published_schema() -> None:
    package = importlib.util.find_spec("check_jsonschema")
    assert package
    assert package.submodule_search_locations
    folder = Path(package.submodule_search_locations[0])
    schema = json.loads((folder / "builtin_schemas/vendor/compose-spec.json").read_text())
    errors = jsonschema.Draft202012Validator(schema).iter_errors(_COMPOSE)
    assert [f"{list(error.absolute_path)}: {error.message[:200]}" for error in errors] == []


def test_schema_refuses_a_misspelt_key() -> None:
    package = importlib.util.find_spec("check_jsonschema")
    assert package
    assert package.submodule_search_locations
    folder = Path(package.submodule_search_locations[0])
    schema = json.loads((folder / "builtin_schemas/vendor/compose-spec.json").read_text())
    broken = {"services": {"one": {"image": "x:1", "depend_on": ["two"]}}}
    assert not jsonschema.Draft202012Validator(schema).is_valid(broken)


@pytest.mark.parametrize("name", _OURS)
def test_service_builds_a_target_of_the_dockerfile(name: str) -> None:
    build = _OURS[name]["build"]
    assert (_FOLDER / build["context"] / build["dockerfile"]).resolve() == _FOLDER / "Dockerfile"
    assert build["target"] in _TARGETS
    assert _OURS[name]["image"].split(":")[0] == f"ytempire/{build['target']}"


def test_every_image_of_the_dockerfile_is_used() -> None:
    with_command = {name for name, target in _TARGETS.items() if target.arguments("CMD")}
    assert with_command == {service["build"]["target"] for service in _OURS.values()}


@pytest.mark.parametrize("name", _SERVICES)
def test_image_is_pinned_by_a_tag(name: str) -> None:
    tag = _SERVICES[name]["image"].rpartition(":")[2]
    assert re.search(r"\d", tag)
    assert tag != "latest"


def test_no_port_leaves_the_machine() -> None:
    published = [port for service in _SERVICES.values() for port in service.get("ports", ())]
    assert published
    for port in published:
        assert isinstance(port, str)
        assert port.startswith("127.0.0.1:"), port
    for name, service in _SERVICES.items():
        assert "network_mode" not in service, name


def test_data_services_are_on_the_internal_network_alone() -> None:
    assert _COMPOSE["networks"]["backend"]["internal"] is True
    for name in ("postgres", "valkey", "minio", "minio-users"):
        assert _SERVICES[name]["networks"] == ["backend"]


def test_services_wait_for_what_exists_and_for_its_health() -> None:
    for name, service in _SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in _SERVICES
            one_shot = other in ("init", "airflow-init", "minio-users")
            condition = "service_completed_successfully" if one_shot else "service_healthy"
            assert how == {"condition": condition}, f"{name} on {other}"
            if not one_shot:
                assert _has_healthcheck(other), other


def test_mounted_files_exist() -> None:
    for service in _SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (_FOLDER / source).exists(), source
            else:
                assert source in _COMPOSE["volumes"]


def test_every_stream_has_a_service_that_asks_how_far_it_is() -> None:
    names = {name for name in _SERVICES if name.startswith("stream-")}
    assert names == set(SERVICES.values())
    for source, name in SERVICES.items():
        service = _SERVICES[name]
        assert service["profiles"] == ["streaming"]
        assert _option(service["command"], "--source") == source
        assert service["healthcheck"]["test"] == ["CMD", *service["command"], "--check"]
        # It reaches its provider, the databases and the online store.
        assert service["networks"] == ["backend", "frontend"]
        needed = {"DATABASE_URL", "REDIS_URL", "YTEMPIRE_S3_ENDPOINT_URL", "X_BEARER_TOKEN"}
        assert needed <= set(service["environment"])


def test_every_variable_is_documented_and_every_documented_one_is_used() -> None:
    documented = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", _EXAMPLE, re.MULTILINE))
    secret = {each["environment"] for each in _COMPOSE["secrets"].values()}
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", _TEXT)) | _passed_on() | secret
    assert used == documented


def test_secrets_have_no_default_and_stop_the_start_when_missing() -> None:
    secrets = set(re.findall(r"^([A-Z0-9_]+)=(?P<value>.*)$", _EXAMPLE, re.MULTILINE))
    assert {value for _, value in secrets} == {""}
    assert len(secrets) >= 18
    required = set(re.findall(r"\$\{([A-Z0-9_]+):\?", _TEXT))
    assert required == {name for name, _ in secrets}
    optional = set(re.findall(r"\$\{([A-Z0-9_]+)(?!:\?)[}:]", _TEXT)) - required
    assert optional == {"AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT", "GRAFANA_PORT"}


def test_documented_commands_fill_the_environment_file(tmp_path: Path) -> None:
    lines = re.findall(r"^#   (sed .*)$", _EXAMPLE, re.MULTILINE)
    assert len(lines) == 2
    (tmp_path / ".env.example").write_text(_EXAMPLE)
    subprocess.run(["bash", "-ec", "\n".join(lines)], cwd=tmp_path, check=True)  # noqa: S607
    filled = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", (tmp_path / ".env").read_text(), re.MULTILINE))
    assert len(set(filled.values())) == len(filled) >= 18
    from cryptography.fernet import Fernet

    Fernet(filled.pop("AIRFLOW_FERNET_KEY"))
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in filled.values())


def test_settings_know_every_variable_that_our_services_get() -> None:
    aliases = {field.validation_alias for field in Settings.model_fields.values()}
    for name, service in _OURS.items():
        for variable in service.get("environment", {}):
            assert variable in aliases or _OTHER_VARIABLES.match(variable), f"{name}: {variable}"


def test_every_setting_can_be_given_to_a_service_that_has_a_use_for_it() -> None:
    aliases = {str(field.validation_alias) for field in Settings.model_fields.values()}
    given = {name for service in _SERVICES.values() for name in service.get("environment", {})}
    assert aliases - given == _FIXED_HERE


def test_the_api_has_its_own_login_and_no_key_of_a_provider_that_it_does_not_ask() -> None:
    environment = _SERVICES["api"]["environment"]
    assert environment["DATABASE_URL"].startswith("postgresql://serving:${SERVING_DB_PASSWORD:")
    assert not [v for v in environment.values() if v and "${YTEMPIRE_DB_PASSWORD" in v]
    assert {"YTEMPIRE_AIRFLOW_URL", "YTEMPIRE_AIRFLOW_PASSWORD"} <= set(environment)
    # The owner makes the first key; the API may not.
    assert "YTEMPIRE_API_KEY" in _SERVICES["init"]["environment"]
    assert "YTEMPIRE_API_KEY" not in environment
    generating = {"OPENAI_API_KEY", "ELEVENLABS_API_KEY", "THUMBNAIL_MODEL_PATH"}
    assert not generating & set(environment)
    for name in (*_workers(), "cli"):
        assert generating <= set(_SERVICES[name]["environment"]), name


def test_workers_serve_both_queues_and_only_one_of_them_each() -> None:
    queues = {name: _option(_SERVICES[name]["command"], "--queues") for name in _workers()}
    assert queues == {"worker": "default", "gpu-worker": "gpu", "gpu-worker-on-cpu": "gpu"}
    environment = _SERVICES["worker"]["environment"]
    assert environment["AIRFLOW__OPERATORS__DEFAULT_QUEUE"] == queues["worker"]
    devices = _SERVICES["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_kubernetes_values_name_the_same_images_and_queues() -> None:
    values = yaml.safe_load((_FOLDER / "kubernetes-values.yaml").read_text())
    celery = values["workers"]["celery"]
    assert values["executor"] == "CeleryExecutor"
    assert (celery["enableDefault"], celery["queue"]) == (True, "default")
    assert [(entry["name"], entry["queue"]) for entry in celery["sets"]] == [("gpu", "gpu")]
    repository, tag = values["images"]["airflow"].values()
    assert f"{repository}:{tag}" == _SERVICES["gpu-worker"]["image"]
    shared = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
    by_name = {entry["name"]: entry["value"] for entry in values["env"]}
    assert by_name[shared] == _SERVICES["worker"]["environment"][shared]
    # Asked for alike, whichever executor starts the stages.
    pod = yaml.safe_load((PROJECT_ROOT / "plugins" / "gpu_pod.yaml").read_text())["spec"]
    (container,) = pod["containers"]
    (workers,) = celery["sets"]
    assert container["resources"] == workers["resources"]
    assert (pod["nodeSelector"], pod["tolerations"]) == (
        workers["nodeSelector"], workers["tolerations"],
    )  # fmt: skip
    named = Path(by_name["YTEMPIRE_GPU_POD_FILE"]).relative_to("/opt/ytempire")
    assert (PROJECT_ROOT / named).is_file()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the installed Airflow says of the commands and options of the compose file.

    Asked in a process of its own: Airflow writes its configuration where it is imported.
    """
    home = tmp_path_factory.mktemp("airflow")
    commands = [words[1:] for name in _OURS for words in _commands(name) if words[0] == "airflow"]
    variables = [v for v in _SERVICES["worker"]["environment"] if v.startswith("AIRFLOW__")]
    result = subprocess.run(
        [sys.executable, "-c", _ASK_AIRFLOW, json.dumps([commands, variables])],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "AIRFLOW_HOME": str(home),
             "PYTHONPATH": str(PROJECT_ROOT / "plugins"), "YTEMPIRE_STATE_DIR": str(home)},
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    answer: dict[str, Any] = json.loads(result.stdout.partition("RESULT")[2])
    return answer


@pytest.mark.parametrize("name", _OURS)
def test_command_is_an_entry_point_that_takes_its_arguments(
    name: str, airflow: dict[str, Any]
) -> None:
    for program, *arguments in _commands(name):
        assert (Path(sys.executable).parent / program).is_file(), program
        if program == "airflow":
            assert airflow["refused"].get(" ".join(arguments)) is None
        else:
            _CHECKS[program](arguments)


def test_pools_are_imported_from_a_file_that_exists() -> None:
    imported = [
        words[3] for words in _commands("airflow-init") if words[1:3] == ["pools", "import"]
    ]
    assert [(PROJECT_ROOT / path).is_file() for path in imported] == [True]


def test_longest_task_is_much_shorter_than_the_visibility_timeout(
    airflow: dict[str, Any],
) -> None:
    name = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
    assert airflow["longest_task_s"] >= 600
    assert airflow["longest_task_s"] * 2 <= int(_SERVICES["worker"]["environment"][name])


def test_airflow_knows_every_option_that_is_set(airflow: dict[str, Any]) -> None:
    assert airflow["unknown_options"] == []


_ASK_AIRFLOW = """
import contextlib, io, json, sys
from airflow.cli import cli_parser
from airflow.configuration import conf
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from ytempire_airflow import defaults
from ml.generation.pipeline import STAGES

commands, variables = json.loads(sys.argv[1])
refused = {}
for words in commands:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            cli_parser.get_parser().parse_args(words)
    except SystemExit:
        refused[" ".join(words)] = said.getvalue()
known = providers_configuration_loaded(lambda: conf.configuration_description)()
# It is handed to the broker as it is.
free = ("celery_broker_transport_options",)
unknown = []
for variable in variables:
    section, option = variable.removeprefix("AIRFLOW__").lower().split("__")
    if section not in free and option not in known.get(section, {}).get("options", {}):
        unknown.append(variable)
bundles = [value for value in vars(defaults).values() if isinstance(value, dict)]
limits = [args["execution_timeout"].total_seconds() for args in bundles
          if "execution_timeout" in args]
longest = max(limits + [stage.timeout_s for stage in STAGES])
print("RESULT" + json.dumps(
    {"refused": refused, "unknown_options": unknown, "longest_task_s": longest}))
"""


def _commands(name: str) -> list[list[str]]:
    """The command lines of a service: its own, or those of its image."""
    words = _OURS[name].get("command") or command(_TARGETS, _OURS[name]["build"]["target"])
    if words[:2] == ["sh", "-c"]:
        return [part.split() for part in words[2].split("&&")]
    return [words]


def _check_ytempire(arguments: list[str]) -> None:
    import typer

    from ml.cli import app

    assert arguments[0] in vars(typer.main.get_command(app))["commands"]


def _check_uvicorn(arguments: list[str]) -> None:
    module, _, attribute = arguments[arguments.index("--factory") + 1].partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def _check_mlflow(arguments: list[str]) -> None:
    from mlflow.cli import cli

    cli.commands[arguments[0]].make_context(arguments[0], arguments[1:])


def _check_python(arguments: list[str]) -> None:
    # Whatever stands before it is read, and refused if it is wrong.
    done = subprocess.run([sys.executable, *arguments, "--help"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


_CHECKS = {
    "ytempire": _check_ytempire,
    "uvicorn": _check_uvicorn,
    "mlflow": _check_mlflow,
    "python": _check_python,
}


def _workers() -> list[str]:
    return [
        name for name, service in _OURS.items()
        if service.get("command", [])[:3] == ["airflow", "celery", "worker"]
    ]  # fmt: skip


def _option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def _passed_on() -> set[str]:
    return {
        variable
        for service in _SERVICES.values()
        for variable, value in service.get("environment", {}).items()
        if value is None
    }


def _has_healthcheck(name: str) -> bool:
    service = _SERVICES[name]
    if "healthcheck" in service:
        return "test" in service["healthcheck"]
    return bool(_TARGETS[service["build"]["target"]].arguments("HEALTHCHECK"))

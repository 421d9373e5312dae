"""The Dockerfile against the repository and against the rules for images."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from dockerfile_reader import Target, command, inherited, read

from ml.settings import PROJECT_ROOT

_FOLDER = PROJECT_ROOT / "docker"
_TARGETS = read(_FOLDER / "Dockerfile")
_IMAGES = ("airflow", "worker", "gpu-worker", "mlflow", "world", "api")
_SECRET = re.compile(r"\b\w*(PASSWORD|SECRET|TOKEN|_KEY)\w*=")


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """Files of the repository, with those about to be added, without what git ignores."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode != 0:
        pytest.skip("not a git checkout: which files are tracked is unknown")
    return set(listing.stdout.splitlines())


def test_every_copied_path_is_in_the_repository(tracked: set[str]) -> None:
    for path in _copied_paths():
        assert any(file == path or file.startswith(f"{path}/") for file in tracked), path


def test_every_copied_path_is_let_into_the_build() -> None:
    patterns = (_FOLDER / "Dockerfile.dockerignore").read_text().split("\n")
    allowed = {line[1:] for line in patterns if line.startswith("!")}
    assert "*" in patterns
    assert set(_copied_paths()) == allowed


def test_state_and_environment_files_stay_out_of_the_build() -> None:
    lines = (_FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    kept_out = [line for line in lines if line.startswith("**/")]
    assert any(fnmatch.fnmatch("docker/.env", line) for line in kept_out)
    assert not any(line.startswith("!.") for line in lines)


def test_every_stage_starts_from_a_pinned_image_or_an_earlier_stage() -> None:
    seen: set[str] = set()
    for target in _TARGETS.values():
        assert target.base in seen or re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", target.base)
        for origin, _ in target.copies():
            assert origin is None or origin in seen
        seen.add(target.name)


@pytest.mark.parametrize("name", _IMAGES)
def test_image_runs_as_an_ordinary_user(name: str) -> None:
    assert inherited(_TARGETS, name, "USER") == "ytempire"
    last = [word for word, _ in _TARGETS[name].steps if word in ("USER", "RUN")][-1]
    assert last == "USER", "something runs as that user after all, or root comes back"


@pytest.mark.parametrize("name", _IMAGES)
def test_image_has_a_command(name: str) -> None:
    assert command(_TARGETS, name)


@pytest.mark.parametrize("name", ["worker", "gpu-worker", "mlflow", "world", "api"])
def test_image_of_one_service_checks_its_health(name: str) -> None:
    assert inherited(_TARGETS, name, "HEALTHCHECK")


def test_images_differ_by_the_extras_of_their_role() -> None:
    extras = {
        target.name: set(re.findall(r"--extra (\S+)", " ".join(target.arguments("RUN"))))
        for target in _TARGETS.values()
    }
    assert extras["world-packages"] == {"serving"}
    assert extras["airflow-packages"] == {"airflow", "dbt"}
    assert extras["worker-packages"] == {"airflow", "dbt", "ml", "generation", "voice"}
    assert extras["gpu-worker-packages"] == extras["worker-packages"] | {"gpu"}
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    assert set().union(*extras.values()) <= set(project["optional-dependencies"])


def test_every_install_is_held_to_the_tested_versions() -> None:
    for step in _runs():
        for part in step.split("&&"):
            if "uv pip install" in part and "--no-deps" not in part:
                assert "--constraint requirements.txt" in part
            elif "pip install" in part and "uv pip" not in part:
                assert "grep '^uv==' requirements.txt" in part


def test_language_model_runtime_is_never_compiled() -> None:
    overrides = (PROJECT_ROOT / "overrides.txt").read_text()
    assert re.search(r'^llama-cpp-python ; sys_platform == "never"$', overrides, re.MULTILINE)
    for step in _runs():
        if "--extra generation" in step:
            assert "--override overrides.txt" in step


def test_no_secret_is_baked_in() -> None:
    for target in _TARGETS.values():
        for word in ("ENV", "ARG", "LABEL"):
            for rest in target.arguments(word):
                assert not _SECRET.search(rest), rest


@pytest.mark.parametrize("path", sorted(p for p in _FOLDER.rglob("*") if p.is_file()), ids=str)
def test_no_package_registry_is_named(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"index-url|find-links|pypi\.|pythonhosted|download\.pytorch", text)


def _copied_paths() -> list[str]:
    def local(target: Target) -> list[str]:
        return [path for origin, paths in target.copies() if origin is None for path in paths]

    return [path for target in _TARGETS.values() for path in local(target)]


def _runs() -> list[str]:
    return [step for target in _TARGETS.values() for step in target.arguments("RUN")]

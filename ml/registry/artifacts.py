"""The files of a release, and the checksum that says whether they are still what was registered."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

from ml.exceptions import CorruptArtifactError
from ml.registry.tracking import client
from ml.settings import Settings


def checksum(folder: Path) -> str:
    """Sha256 over the names and the contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def verify(folder: Path, tags: Any, what: str) -> None:
    """Compare a downloaded MLflow model with what its version says of it.

    Versions from before checksums carry none and are not checked.

    Args:
        folder: the model: `MLmodel` and `data/NAME/`.
        tags: of the version.
        what: its name, for the message.

    Raises:
        CorruptArtifactError: if they differ.
    """
    if "checksum" not in tags:
        return
    data = [path for path in (folder / "data").glob("*") if path.is_dir()]
    found = checksum(data[0]) if len(data) == 1 else "none"
    if found != tags["checksum"]:
        raise CorruptArtifactError(
            f"the files of {what} are not those that were registered (sha256 {found[:12]}, not"
            f" {tags['checksum'][:12]}); restore them from a backup of the bucket or roll back"
        )
    described = yaml.safe_load((folder / "MLmodel").read_text())
    loader = described["flavors"]["python_function"]["loader_module"]
    if loader != tags["loader_module"]:
        raise CorruptArtifactError(f"{what} would be loaded by {loader}, which it was not")


def download(name: str, number: int, tags: Any, settings: Settings, to: str | None = None) -> Path:
    """Fetch the files of a version and check them.

    Raises:
        CorruptArtifactError: if they are not what was registered.
    """
    client(settings)
    import mlflow.artifacts

    got = mlflow.artifacts.download_artifacts(f"models:/{name}/{number}", dst_path=to)
    verify(Path(got), tags, f"{name} {tags.get('version', number)}")
    return Path(got)

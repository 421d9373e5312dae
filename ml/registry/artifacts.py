"""The files of a release, and the checksum that says whether they are still what was registered."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ml.exceptions import CorruptArtifactError
from ml.registry.tracking import client, reachable
from ml.settings import Settings

if TYPE_CHECKING:
    from ml.registry.releases import Release

_MOST_KEPT = 6  # versions of a model that stay on disk, those that were used last


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


def cached(release: Release, settings: Settings) -> Path:
    """The files of a version on this machine; fetched once, and anew where they were spoilt.

    The API and every task share them, so that what serves needs no object store. What was used
    longest ago goes when there are too many.

    Returns:
        Folder with `MLmodel` and `data/NAME/`.

    Raises:
        CorruptArtifactError: if the files are not what was registered.
        ServiceUnavailableError: if they are not here and cannot be fetched now.
    """
    folder = cache(release.name, settings) / identity(release)
    what = f"{release.name} {release.version or release.mlflow_version}"
    if folder.is_dir():
        try:
            verify(folder, release.tags, what)
        except (CorruptArtifactError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            os.utime(folder)
            return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may fetch at once; a folder under its final name is whole and checked.
    with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        got = _download(release, f"{partial}/model", settings)
        verify(got, release.tags, what)
        try:
            got.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    kept = [path for path in folder.parent.glob("[0-9]*") if path.is_dir()]
    for old in sorted(kept, key=lambda path: path.stat().st_mtime)[:-_MOST_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def cache(name: str, settings: Settings) -> Path:
    """Folder of what this machine keeps of a model."""
    return (settings.model_cache_dir or settings.state_dir / "models") / "serving" / name


def identity(release: Release) -> str:
    """Names the files of a version: a model that was deleted and registered again counts anew."""
    return f"{release.mlflow_version}-{release.run_id}"


def _download(release: Release, to: str, settings: Settings) -> Path:
    client(settings)
    import mlflow.artifacts

    with reachable():
        return Path(
            mlflow.artifacts.download_artifacts(
                f"models:/{release.name}/{release.mlflow_version}", dst_path=to
            )
        )

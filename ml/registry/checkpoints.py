"""What a training has finished so far, so that one that was killed goes on from there.

A step is kept whole or not at all, as plain arrays, so that going on runs no code that was stored.
Steps belong to one fingerprint: other data, parameters or code never see them.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.settings import Settings

log = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]
_FILE = "arrays.npz"
# A training that nobody has tried again for so long will not be.
_KEPT_S = 7 * 24 * 3600


class Checkpoints:
    """The finished steps of one training.

    Args:
        folder: where they are; None keeps nothing, for a training that nobody will try again.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def arrays(self, step: str, make: Callable[[], Mapping[str, npt.NDArray[Any]]]) -> Arrays:
        """What `make` returns, now or before the training was killed.

        Args:
            step: name of it, unlike that of any other step.
            make: gives arrays of numbers or text by name; objects cannot be kept.
        """
        if self._folder is None:
            return dict(make())
        done = self._folder / f"{_plain(step)}.npz"
        if done.is_file():
            try:
                kept = _read(done)
            except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
                log.warning("%s is done again: what was kept of it cannot be read, %s", step, error)
            else:
                log.info("%s was finished before", step)
                return kept
        made = dict(make())
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as partial:
            whole = Path(partial) / _FILE
            np.savez(whole, allow_pickle=False, **made)
            whole.replace(done)
        return made

    def scratch(self, step: str) -> Path | None:
        """Where a long step may keep what it has come to, if anything is kept."""
        return None if self._folder is None else self._folder / f"{_plain(step)} unfinished"

    def clear(self) -> None:
        """Forget all steps: the training is registered."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _plain(step: str) -> str:
    return step.replace("/", "_")


def _read(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def open_checkpoints(name: str, key: str, settings: Settings) -> Checkpoints:
    """Those of a training by its fingerprint; abandoned ones of the same model go.

    Args:
        name: registered model.
        key: the fingerprint.
        settings: `MODEL_CACHE_DIR` holds them. Where tasks may be tried again on another machine,
            it has to be on a volume that they share; otherwise such a try starts over.
    """
    root = (settings.model_cache_dir or settings.state_dir / "models") / "checkpoints" / name
    if root.is_dir():
        for folder in root.iterdir():
            if folder.name != key and time.time() - folder.stat().st_mtime > _KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)
    return Checkpoints(root / key)


def booster_array(booster: Any) -> npt.NDArray[np.uint8]:
    """A forest of XGBoost as an array."""
    return np.frombuffer(booster.save_raw("ubj"), dtype=np.uint8)


def array_booster(array: npt.NDArray[np.uint8]) -> Any:
    """The forest of `booster_array`."""
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(array.tobytes()))
    return booster

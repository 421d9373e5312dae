"""A model version in this process, and the share of callers that it answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.exceptions import RetriableError
from ml.registry.releases import Release


@dataclass(frozen=True)
class Served:
    """A model version in this process.

    Attributes:
        run: what answers: a callable made of the loaded model, already used once.
        row_id: id of the release in `ml.ml_models`, for records.
    """

    release: Release
    run: Any
    row_id: str
    loaded_at: datetime

    @property
    def model_id(self) -> str:
        """Name and semantic version, as `/ml/v1/models` shows them."""
        return f"{self.release.name}_v{self.release.version}"


@dataclass(frozen=True)
class Canary:
    """A version that answers a share of the callers.

    Attributes:
        percent: of callers, chosen by a hash of their id, so that one gets one version.
        shadow: it is asked beside the champion, and its answers are recorded and not given.
    """

    served: Served
    percent: float
    shadow: bool = False

    def takes(self, caller: str) -> bool:
        """Whether this caller is among them."""
        digest = hashlib.sha256(f"{self.served.model_id}:{caller}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 * 100 < self.percent


class NotServedError(RetriableError):
    """There is no version of the model in this process yet."""

"""What a stage gets and gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ml.generation.brief import VideoBrief
from ml.settings import Settings

if TYPE_CHECKING:
    from ml.generation.artifacts import ArtifactStore


@dataclass(frozen=True)
class StageResult:
    """A finished stage.

    Attributes:
        outputs: file name to `{"key", "sha256", "bytes"}`; keys are relative to the store.
        metrics: what the stage measured about its own work; plain JSON.
        reused: whether it was found finished and not run again.
    """

    stage: str
    provider: str
    seconds: float
    cost_usd: float
    outputs: dict[str, dict[str, Any]]
    metrics: dict[str, Any]
    input_hash: str
    reused: bool = False

    def to_json(self) -> str:
        """As stored in `result.json`; `reused` is about a call, not about the result."""
        values = {name: value for name, value in vars(self).items() if name != "reused"}
        return json.dumps(values, indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, reused: bool) -> StageResult:
        """Read a stored result."""
        return cls(**json.loads(text), reused=reused)


@dataclass(frozen=True)
class StageOutput:
    """What a stage function returns: files it wrote into the work folder, and facts about them."""

    provider: str
    files: Mapping[str, Path]
    metrics: dict[str, Any]
    cost_usd: float = 0.0


@dataclass(frozen=True)
class StageContext:
    """Everything a stage may use.

    Attributes:
        work: an empty folder that is removed afterwards.
        inputs: local paths of the outputs of earlier stages, by stage and file name.
        upstream: the results of those stages.
        timeout_s: how long subprocesses of the stage may take.
    """

    brief: VideoBrief
    settings: Settings
    store: ArtifactStore
    work: Path
    inputs: Mapping[str, Mapping[str, Path]]
    upstream: Mapping[str, StageResult]
    timeout_s: float

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file into the work folder."""
        path = self.work / name
        path.write_text(text, encoding="utf-8")
        return path


class StageModule(Protocol):
    """A module that is a stage."""

    def code_version(self) -> str:
        """Changes whenever the same input would give another output."""
        ...

    def run(self, context: StageContext) -> StageOutput:
        """Do the work."""
        ...

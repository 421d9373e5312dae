"""The criteria of the gates, from one file."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.exceptions import ConfigurationError
from ml.settings import Settings

_FILE = Path(__file__).parent / "criteria.yaml"


class Criteria(BaseModel):
    """What a version must meet; `criteria.yaml` says what each means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contract: float = Field(ge=0, le=1)
    latency_p95_ms: float = Field(gt=0)
    error_rate: float = Field(ge=0, le=1)
    safety: float = Field(ge=0, le=1)
    consistency: float = Field(ge=0, le=1)
    robustness: float = Field(ge=0, le=1)
    behaviour: float = Field(ge=0, le=1)
    fairness_gap: float = Field(ge=0, le=1)
    fairness_min_rows: int = Field(ge=1)
    comparison_tolerance: float = Field(ge=0, le=1)
    comparison_min_rows: int = Field(ge=2)
    confidence: float = Field(gt=0, lt=1)


def criteria_of(name: str, settings: Settings) -> Criteria:
    """The criteria of a model.

    Raises:
        ConfigurationError: if the file is no such file; the message names the field.
    """
    path = settings.release_criteria_file or _FILE
    try:
        content = yaml.safe_load(path.read_text())
        values = {**content["defaults"], **(content.get("models") or {}).get(name, {})}
        return Criteria(**values)
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: {error}; see ml/registry/validation") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ConfigurationError(f"{path}: {where} of {name}: {problem['msg']}") from error

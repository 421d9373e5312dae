"""The one place that reads the environment.

Values come, in this order, from: constructor arguments, environment variables, `.env` in the
working directory, and the state file that the embedded profile writes (`<state>/settings.json`,
mode 600). Setting the URL of an external service is therefore all it takes to use it instead of
the embedded one.
"""

from __future__ import annotations

import json
import os
import warnings
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import make_url

from ml.exceptions import ConfigurationError

Bucket = Literal["bronze", "mlflow", "content", "reports"]

PROJECT_ROOT = Path(__file__).resolve().parents[1]

# Variables of the reference that a standard tool has replaced, and what to set instead.
_SUPERSEDED = {
    "MODEL_REGISTRY_PATH": "MLFLOW_TRACKING_URI",
    "TREND_MODEL_PATH": "MLFLOW_TRACKING_URI (models are loaded by registry alias)",
    "WANDB_PROJECT": "MLFLOW_EXPERIMENT_NAME",
    "WANDB_API_KEY": "MLFLOW_TRACKING_URI",
    "FEATURE_STORE_BACKEND": "REDIS_URL (Feast's online store)",
    "TRAINING_DATA_PATH": "YTEMPIRE_DATA_DIR",
}


def default_state_dir() -> Path:
    """Where the embedded services keep data, credentials and logs."""
    return Path(os.environ.get("YTEMPIRE_STATE_DIR") or PROJECT_ROOT / ".ytempire").absolute()


class _EmbeddedState(PydanticBaseSettingsSource):
    """Reads what the embedded profile recorded about its own services."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = default_state_dir() / "settings.json"
        try:
            values: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"cannot read {path}: {error}. Fix its permissions or remove it and run "
                "`ytempire up` again"
            ) from error
        # A value keyed by field name must not shadow the environment variable of that field.
        return {
            _alias(name): value for name, value in values.items() if name in Settings.model_fields
        }


def _alias(field_name: str) -> str:
    alias = Settings.model_fields[field_name].validation_alias
    return alias if isinstance(alias, str) else field_name


class Settings(BaseSettings):
    """All settings. Each field names its environment variable as its alias."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True, frozen=True
    )

    app_env: Literal["embedded", "development", "staging", "production"] = Field(
        "embedded", validation_alias="APP_ENV"
    )
    log_level: str = Field("INFO", validation_alias="APP_LOG_LEVEL")
    state_dir: Path = Field(
        default_factory=default_state_dir, validation_alias="YTEMPIRE_STATE_DIR"
    )
    data_dir: Path | None = Field(
        None, validation_alias="YTEMPIRE_DATA_DIR", description="folder of public archives"
    )
    ports: dict[str, int] = Field(
        {}, validation_alias="YTEMPIRE_PORTS", description="fixed ports of embedded services"
    )
    outbox_dir: Path = Field(
        PROJECT_ROOT / "outbox",
        validation_alias="YTEMPIRE_OUTBOX_DIR",
        description="where the default publisher puts finished videos",
    )

    # Time
    as_of: datetime | None = Field(
        None, validation_alias="YTEMPIRE_AS_OF", description="fixes 'now'; see ml.clock"
    )
    clock: Literal["auto", "wall", "world", "archive"] = Field(
        "auto", validation_alias="YTEMPIRE_CLOCK"
    )

    # Postgres; one database and owner role a part
    database_url: str | None = Field(None, validation_alias="DATABASE_URL")
    analyst_database_url: str | None = Field(None, validation_alias="YTEMPIRE_ANALYST_DATABASE_URL")
    airflow_database_url: str | None = Field(None, validation_alias="YTEMPIRE_AIRFLOW_DATABASE_URL")
    mlflow_database_url: str | None = Field(None, validation_alias="YTEMPIRE_MLFLOW_DATABASE_URL")
    mlflow_auth_database_url: str | None = Field(
        None, validation_alias="YTEMPIRE_MLFLOW_AUTH_DATABASE_URL"
    )
    feast_database_url: str | None = Field(None, validation_alias="YTEMPIRE_FEAST_DATABASE_URL")
    optuna_database_url: str | None = Field(None, validation_alias="YTEMPIRE_OPTUNA_DATABASE_URL")

    redis_url: str | None = Field(None, validation_alias="REDIS_URL")

    # Object storage
    s3_endpoint_url: str | None = Field(None, validation_alias="YTEMPIRE_S3_ENDPOINT_URL")
    s3_access_key: str | None = Field(None, validation_alias="YTEMPIRE_S3_ACCESS_KEY")
    # Names of our own: the AWS_* variables of a developer's shell are for other buckets.
    s3_secret_key: SecretStr | None = Field(None, validation_alias="YTEMPIRE_S3_SECRET_KEY")
    s3_region: str = Field("us-east-1", validation_alias="YTEMPIRE_S3_REGION")
    bucket_prefix: str = Field("ytempire", validation_alias="YTEMPIRE_BUCKET_PREFIX")

    # MLflow
    mlflow_tracking_uri: str | None = Field(None, validation_alias="MLFLOW_TRACKING_URI")
    mlflow_username: str | None = Field(None, validation_alias="MLFLOW_TRACKING_USERNAME")
    mlflow_password: SecretStr | None = Field(None, validation_alias="MLFLOW_TRACKING_PASSWORD")
    mlflow_experiment: str = Field("ytempire", validation_alias="MLFLOW_EXPERIMENT_NAME")

    # Airflow
    airflow_url: str | None = Field(None, validation_alias="YTEMPIRE_AIRFLOW_URL")
    airflow_username: str = Field("admin", validation_alias="YTEMPIRE_AIRFLOW_USERNAME")
    airflow_password: SecretStr | None = Field(None, validation_alias="YTEMPIRE_AIRFLOW_PASSWORD")

    # Sources. Without a base URL the real provider is used.
    world_url: str | None = Field(None, validation_alias="YTEMPIRE_WORLD_URL")
    world_seed: int = Field(7, validation_alias="YTEMPIRE_WORLD_SEED")
    world_start: datetime | None = Field(
        None, validation_alias="YTEMPIRE_WORLD_START", description="where the world's clock starts"
    )
    world_speed: float = Field(1.0, gt=0, validation_alias="YTEMPIRE_WORLD_SPEED")
    world_faults: str = Field("", validation_alias="YTEMPIRE_WORLD_FAULTS")
    world_daily_quota: int = Field(10_000, ge=0, validation_alias="YTEMPIRE_WORLD_DAILY_QUOTA")
    youtube_api_key: SecretStr | None = Field(None, validation_alias="YOUTUBE_API_KEY")
    youtube_base_url: str = Field(
        "https://www.googleapis.com/youtube/v3", validation_alias="YOUTUBE_BASE_URL"
    )
    youtube_regions: tuple[str, ...] = Field(
        ("US", "GB", "IN"), validation_alias="YOUTUBE_REGIONS", description="JSON list"
    )
    hackernews_base_url: str = Field(
        "https://hacker-news.firebaseio.com/v0", validation_alias="HACKERNEWS_BASE_URL"
    )

    # The HTTP API
    api_key: SecretStr | None = Field(None, validation_alias="YTEMPIRE_API_KEY")

    # Orchestration
    ingest_schedule: str | None = Field(
        None,
        validation_alias="YTEMPIRE_INGEST_SCHEDULE",
        description="cron of the ingest DAGs, such as '@hourly'; none runs them on demand",
    )

    # Generation
    videos_per_plan: int = Field(2, ge=0, validation_alias="YTEMPIRE_VIDEOS_PER_PLAN")
    video_width: int = Field(1280, validation_alias="YTEMPIRE_VIDEO_WIDTH")
    video_height: int = Field(720, validation_alias="YTEMPIRE_VIDEO_HEIGHT")
    script_max_tokens: int = Field(2000, validation_alias="SCRIPT_MAX_TOKENS")
    script_temperature: float = Field(0.7, validation_alias="SCRIPT_TEMPERATURE")
    script_top_p: float = Field(0.9, validation_alias="SCRIPT_TOP_P")
    model_cache_dir: Path | None = Field(None, validation_alias="MODEL_CACHE_DIR")
    gate_min_score: float = Field(0.85, ge=0, le=1, validation_alias="YTEMPIRE_GATE_MIN_SCORE")
    gate_reject_score: float = Field(
        0.60, ge=0, le=1, validation_alias="YTEMPIRE_GATE_REJECT_SCORE"
    )

    @field_validator("data_dir", mode="after")
    @classmethod
    def _data_dir_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(
                f"YTEMPIRE_DATA_DIR={value} is not a folder; point it at one or unset it"
            )
        return value.absolute() if value else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the embedded profile's state behind every explicit source."""
        return init_settings, env_settings, dotenv_settings, _EmbeddedState(settings_cls)

    def require(self, field: str) -> str:
        """Return a setting that must have a value, secrets revealed.

        Raises:
            ConfigurationError: if it has none; the message names the variable.
        """
        value = getattr(self, field)
        if value is None:
            raise ConfigurationError(
                f"{_alias(field)} is not set; set it, or run `ytempire up` for the embedded service"
            )
        return str(value.get_secret_value() if isinstance(value, SecretStr) else value)

    def database(self, part: str) -> str:
        """URL of the database of `part` (airflow, mlflow, mlflow_auth, feast, optuna).

        Falls back to the server and login of DATABASE_URL with that database name, which is how
        an external Postgres with one login is used.
        """
        own: str | None = getattr(self, f"{part}_database_url")
        if own:
            return own
        url = make_url(self.require("database_url"))
        return url.set(database=part).render_as_string(hide_password=False)

    @property
    def dbt_manifest(self) -> Path:
        """Dbt's parsed project, from which Airflow draws the model graph."""
        return self.state_dir / "dbt" / "manifest.json"

    def bucket(self, part: Bucket) -> str:
        """Name of the bucket of `part`."""
        return f"{self.bucket_prefix}-{part}"


def explicit_environment() -> dict[str, str]:
    """The variables that a person set, in the environment or `.env`, by name.

    Services that start in another folder with a clean environment get these.
    """
    found = {**dotenv_values(".env"), **os.environ}
    names = (_alias(field) for field in Settings.model_fields)
    return {name: value for name in names if (value := found.get(name))}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Read the settings once per process.

    Raises:
        ConfigurationError: one line per wrong value, naming the variable.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    for name, instead in _SUPERSEDED.items():
        if name in os.environ:
            warnings.warn(f"{name} has no effect; set {instead}", stacklevel=2)
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        raise ConfigurationError("; ".join(lines)) from error
    except SettingsError as error:
        raise ConfigurationError(f"{error}: the value must be JSON") from error

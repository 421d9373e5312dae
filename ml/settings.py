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
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import make_url

from ml.exceptions import ConfigurationError, SourceUnavailableError

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
        given = {**dotenv_values(".env"), **os.environ}.get("DATABASE_URL")
        if given and given != values.get("database_url"):
            values.pop("api_database_url", None)  # a login of the embedded server alone
        # A value keyed by field name must not shadow the environment variable of that field.
        return {
            variable(name): value for name, value in values.items() if name in Settings.model_fields
        }


def variable(field_name: str) -> str:
    """The environment variable of a setting."""
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

    # Sources: the simulated world answers in the providers' place while it runs.
    sources_from: Literal["auto", "world", "providers"] = Field(
        "auto",
        validation_alias="YTEMPIRE_SOURCES",
        description="who is asked: auto is the simulated world where there is one",
    )
    provider_urls: dict[str, str] = Field(
        {},
        validation_alias="YTEMPIRE_PROVIDER_URLS",
        description="JSON object: a provider's host and the URL to ask instead, such as a proxy",
    )
    world_url: str | None = Field(None, validation_alias="YTEMPIRE_WORLD_URL")
    world_key: SecretStr | None = Field(
        None,
        validation_alias="YTEMPIRE_WORLD_KEY",
        description="the one credential of the simulated world, whatever a provider calls it",
    )
    world_seed: int = Field(7, validation_alias="YTEMPIRE_WORLD_SEED")
    world_start: datetime | None = Field(
        None, validation_alias="YTEMPIRE_WORLD_START", description="where the world's clock starts"
    )
    world_speed: float = Field(1.0, gt=0, validation_alias="YTEMPIRE_WORLD_SPEED")
    world_scale: float = Field(
        1.0,
        ge=0.05,
        le=200,
        validation_alias="YTEMPIRE_WORLD_SCALE",
        description="records a day of the simulated world, relative to its usual number",
    )
    world_faults: str = Field("", validation_alias="YTEMPIRE_WORLD_FAULTS")
    world_shift: str = Field(
        "",
        validation_alias="YTEMPIRE_WORLD_SHIFT",
        description="from when on other videos are made in the simulated world; see ml.world.shift",
    )
    world_daily_quota: int = Field(10_000, ge=0, validation_alias="YTEMPIRE_WORLD_DAILY_QUOTA")
    contact: str = Field(
        "",
        validation_alias="YTEMPIRE_CONTACT",
        description="e-mail or URL in the user agent; Wikimedia and Reddit ask for one",
    )
    youtube_api_key: SecretStr | None = Field(None, validation_alias="YOUTUBE_API_KEY")
    youtube_regions: tuple[str, ...] = Field(
        ("US", "GB", "IN"), validation_alias="YOUTUBE_REGIONS", description="JSON list"
    )
    youtube_categories: tuple[int, ...] = Field(
        (),
        validation_alias="YOUTUBE_CATEGORIES",
        description="ids of categories whose charts are read beside the whole chart",
    )
    youtube_search_queries: tuple[str, ...] = Field(
        ("news", "technology", "gaming"), validation_alias="YOUTUBE_SEARCH_QUERIES"
    )
    youtube_client_id: str | None = Field(None, validation_alias="YOUTUBE_CLIENT_ID")
    youtube_client_secret: SecretStr | None = Field(None, validation_alias="YOUTUBE_CLIENT_SECRET")
    youtube_refresh_token: SecretStr | None = Field(None, validation_alias="YOUTUBE_REFRESH_TOKEN")
    credentials_key: SecretStr | None = Field(
        None,
        validation_alias="YTEMPIRE_CREDENTIALS_KEY",
        description="Fernet key that encrypts the refresh tokens of channels in the database",
    )
    youtube_upload_chunk_mib: int = Field(
        8, ge=1, le=512, validation_alias="YOUTUBE_UPLOAD_CHUNK_MIB"
    )
    reddit_client_id: str | None = Field(None, validation_alias="REDDIT_CLIENT_ID")
    reddit_client_secret: SecretStr | None = Field(None, validation_alias="REDDIT_CLIENT_SECRET")
    reddit_subreddits: tuple[str, ...] = Field(
        ("popular", "technology", "worldnews", "videos", "gaming"),
        validation_alias="REDDIT_SUBREDDITS",
    )
    hackernews_queries: tuple[str, ...] = Field(
        (),
        validation_alias="HACKERNEWS_QUERIES",
        description="words that stories are searched for; none searches all of the interval",
    )
    google_trends_regions: tuple[str, ...] = Field(
        ("US", "GB", "IN"), validation_alias="GOOGLE_TRENDS_REGIONS"
    )
    google_trends_keywords: tuple[str, ...] = Field(
        (),
        validation_alias="GOOGLE_TRENDS_KEYWORDS",
        description="terms whose interest over time is read; needs SERPAPI_KEY",
    )
    serpapi_key: SecretStr | None = Field(None, validation_alias="SERPAPI_KEY")
    wikipedia_projects: tuple[str, ...] = Field(
        ("en.wikipedia",), validation_alias="WIKIPEDIA_PROJECTS"
    )
    wikipedia_hourly: bool = Field(
        False,
        validation_alias="WIKIPEDIA_HOURLY",
        description="read the hourly dumps too: 50 MB an hour of all projects together",
    )
    gdelt_queries: tuple[str, ...] = Field(
        ("technology", "entertainment", "sports"), validation_alias="GDELT_QUERIES"
    )
    x_bearer_token: SecretStr | None = Field(None, validation_alias="X_BEARER_TOKEN")
    x_woeids: tuple[int, ...] = Field(
        (1, 23424977), validation_alias="X_WOEIDS", description="places of trends; 1 is the world"
    )
    x_queries: tuple[str, ...] = Field(
        ("AI", "gaming", "football"), validation_alias="X_QUERIES", description="counted by hour"
    )
    tiktok_client_key: str | None = Field(None, validation_alias="TIKTOK_CLIENT_KEY")
    tiktok_client_secret: SecretStr | None = Field(None, validation_alias="TIKTOK_CLIENT_SECRET")
    tiktok_regions: tuple[str, ...] = Field(("US", "GB"), validation_alias="TIKTOK_REGIONS")
    github_languages: tuple[str, ...] = Field(
        ("",), validation_alias="GITHUB_LANGUAGES", description="an empty one is all languages"
    )
    feeds_file: Path | None = Field(
        None, validation_alias="YTEMPIRE_FEEDS", description="YAML list of feeds; default: ours"
    )

    # The HTTP API
    api_key: SecretStr | None = Field(None, validation_alias="YTEMPIRE_API_KEY")
    api_database_url: str | None = Field(
        None,
        validation_alias="YTEMPIRE_API_DATABASE_URL",
        description="login of the API with the rights it needs; none is DATABASE_URL's",
    )
    api_workers: int = Field(2, ge=1, validation_alias="WEB_CONCURRENCY")
    api_jwt_key_file: Path | None = Field(
        None,
        validation_alias="YTEMPIRE_API_JWT_KEY_FILE",
        description="PEM of RSA keys: the first signs tokens, all verify; the embedded profile"
        " makes its own",
    )
    api_token_minutes: int = Field(15, ge=1, le=60, validation_alias="YTEMPIRE_API_TOKEN_MINUTES")
    api_issuer: str = Field("ytempire", validation_alias="YTEMPIRE_API_ISSUER")
    api_rate_limits: dict[str, str] = Field(
        {},
        validation_alias="YTEMPIRE_API_RATE_LIMITS",
        description="JSON object: a scope or a route's path and CALLS/SECONDS of one key",
    )
    api_cors_origins: tuple[str, ...] = Field(
        (),
        validation_alias="YTEMPIRE_API_CORS_ORIGINS",
        description="JSON list of origins whose pages may call the API; none by default",
    )
    api_max_body_bytes: int = Field(
        1_048_576, ge=1024, validation_alias="YTEMPIRE_API_MAX_BODY_BYTES"
    )

    api_wait_s: float = Field(
        30.0,
        ge=0,
        le=300,
        validation_alias="YTEMPIRE_API_WAIT_S",
        description="how long a route of long work waits for its run before it answers 202",
    )

    # Orchestration
    ingest_schedule: str | None = Field(
        None,
        validation_alias="YTEMPIRE_INGEST_SCHEDULE",
        description="cron of the ingest DAGs, such as '@hourly'; none runs them on demand",
    )
    metrics_schedule: str | None = Field(
        None,
        validation_alias="YTEMPIRE_METRICS_SCHEDULE",
        description="cron of collect_metrics, such as '*/15 * * * *'; none runs it on demand",
    )

    streaming: bool = Field(
        False,
        validation_alias="YTEMPIRE_STREAMING",
        description="run the consumers of streams beside the scheduled ingest",
    )

    # Alerts to owners, beside ops.alerts and the log
    smtp_url: SecretStr | None = Field(
        None,
        validation_alias="YTEMPIRE_SMTP_URL",
        description="smtp://USER:PASSWORD@HOST:PORT (with STARTTLS if there is a user) or smtps://",
    )
    alert_emails: tuple[str, ...] = Field((), validation_alias="YTEMPIRE_ALERT_EMAILS")
    alert_sender: str = Field("ytempire@localhost", validation_alias="YTEMPIRE_ALERT_SENDER")
    slack_webhook_url: SecretStr | None = Field(None, validation_alias="SLACK_WEBHOOK_URL")
    pagerduty_routing_key: SecretStr | None = Field(
        None,
        validation_alias="PAGERDUTY_ROUTING_KEY",
        description="integration key of a service, Events API v2",
    )
    pagerduty_url: str = Field(
        "https://events.pagerduty.com/v2/enqueue", validation_alias="YTEMPIRE_PAGERDUTY_URL"
    )

    # Watching
    warning_rules: Path | None = Field(
        None,
        validation_alias="YTEMPIRE_WARNING_RULES",
        description="YAML of early-warning rules; default: ours",
    )
    warning_schedule: str | None = Field(
        None,
        validation_alias="YTEMPIRE_WARNING_SCHEDULE",
        description="cron of the early-warning rules, such as '*/15 * * * *'; none evaluates them"
        " after every drift report only",
    )
    api_metrics_url: str | None = Field(
        None,
        validation_alias="YTEMPIRE_API_METRICS_URL",
        description="address of the API's /metrics, from which error rates are taken; none leaves"
        " them to Prometheus",
    )
    train_on: Literal["features", "drift"] = Field(
        "features",
        validation_alias="YTEMPIRE_TRAIN_ON",
        description="what trains a watched champion anew: each build of features, or only its drift"
        " and decay",
    )
    retrain_cooldown_hours: float = Field(
        24.0,
        ge=0,
        validation_alias="YTEMPIRE_RETRAIN_COOLDOWN_HOURS",
        description="drift retrains no champion that is younger, nor twice within that time",
    )
    retrains_per_week: int = Field(
        3, ge=0, validation_alias="YTEMPIRE_RETRAINS_PER_WEEK", description="by drift, of a model"
    )
    keep_reports_days: int = Field(
        365,
        ge=1,
        validation_alias="YTEMPIRE_KEEP_REPORTS_DAYS",
        description="results and reports of gates, and pages of drift reports, are kept that long",
    )

    # Releases of models: gates and rollouts
    settle_after_training: bool = Field(
        True,
        validation_alias="YTEMPIRE_SETTLE_AFTER_TRAINING",
        description="validate a new version and decide on it in the same run",
    )
    release_criteria_file: Path | None = Field(
        None,
        validation_alias="YTEMPIRE_RELEASE_CRITERIA",
        description="YAML of the criteria before a promotion; default: ours",
    )
    rollout_strategy: Literal["canary", "blue_green"] = Field(
        "canary", validation_alias="YTEMPIRE_ROLLOUT_STRATEGY"
    )
    rollout_canary_percent: int = Field(
        10, ge=1, le=99, validation_alias="YTEMPIRE_ROLLOUT_CANARY_PERCENT"
    )
    rollout_steps: tuple[int, ...] = Field(
        (10, 25, 50, 75, 100),
        validation_alias="YTEMPIRE_ROLLOUT_STEPS",
        description="JSON list: percent of the callers at each step of a blue-green rollout",
    )
    rollout_check_s: float = Field(
        60.0, gt=0, validation_alias="YTEMPIRE_ROLLOUT_CHECK_S", description="between two checks"
    )
    rollout_window_s: float = Field(
        300.0, ge=0, validation_alias="YTEMPIRE_ROLLOUT_WINDOW_S", description="of one step"
    )
    rollout_longest_s: float = Field(
        86_400.0,
        ge=0,
        validation_alias="YTEMPIRE_ROLLOUT_LONGEST_S",
        description="that a step waits for enough answers",
    )
    rollout_min_answers: int = Field(
        50,
        ge=1,
        validation_alias="YTEMPIRE_ROLLOUT_MIN_ANSWERS",
        description="of the API, before a version is judged by them",
    )
    rollout_error_rate: float = Field(
        0.05, ge=0, le=1, validation_alias="YTEMPIRE_ROLLOUT_ERROR_RATE"
    )
    rollout_latency_p95_ms: float = Field(
        1000.0, gt=0, validation_alias="YTEMPIRE_ROLLOUT_LATENCY_P95_MS"
    )
    rollout_accuracy_drop: float = Field(
        0.02, ge=0, le=1, validation_alias="YTEMPIRE_ROLLOUT_ACCURACY_DROP"
    )
    rollout_score_shift: float = Field(
        0.3,
        ge=0,
        le=1,
        validation_alias="YTEMPIRE_ROLLOUT_SCORE_SHIFT",
        description="Kolmogorov-Smirnov distance of a canary's scores from the champion's",
    )

    # Generation
    videos_per_plan: int = Field(2, ge=0, validation_alias="YTEMPIRE_VIDEOS_PER_PLAN")
    video_width: int = Field(1280, validation_alias="YTEMPIRE_VIDEO_WIDTH")
    video_height: int = Field(720, validation_alias="YTEMPIRE_VIDEO_HEIGHT")
    video_vertical: bool = Field(
        False,
        validation_alias="YTEMPIRE_VIDEO_VERTICAL",
        description="make a 9:16 twin of every video",
    )
    video_encoder: Literal["auto", "libx264", "h264_nvenc"] = Field(
        "auto", validation_alias="YTEMPIRE_VIDEO_ENCODER"
    )
    music_path: Path | None = Field(
        None, validation_alias="YTEMPIRE_MUSIC", description="sound file to play below the voice"
    )
    music_licence: str = Field("", validation_alias="YTEMPIRE_MUSIC_LICENCE")
    stock_media: tuple[Literal["pexels", "pixabay"], ...] = Field(
        ("pexels", "pixabay"),
        validation_alias="YTEMPIRE_STOCK_MEDIA",
        description="JSON list: who is asked for photographs, in this order, where a key is set",
    )
    pexels_api_key: SecretStr | None = Field(None, validation_alias="PEXELS_API_KEY")
    pixabay_api_key: SecretStr | None = Field(None, validation_alias="PIXABAY_API_KEY")
    script_max_tokens: int = Field(2000, validation_alias="SCRIPT_MAX_TOKENS")
    script_temperature: float = Field(0.7, validation_alias="SCRIPT_TEMPERATURE")
    script_top_p: float = Field(0.9, validation_alias="SCRIPT_TOP_P")
    model_cache_dir: Path | None = Field(None, validation_alias="MODEL_CACHE_DIR")

    # Language models: who writes scripts, in which order they are asked, and what that may cost
    script_model_provider: Literal["local", "openai", "anthropic", "openai_compatible"] = Field(
        "local", validation_alias="SCRIPT_MODEL_PROVIDER"
    )
    script_model_name: str | None = Field(
        None,
        validation_alias="SCRIPT_MODEL_NAME",
        description="default: the provider's first in ml/generation/llm/models.yaml",
    )
    script_model_fallbacks: tuple[str, ...] = Field(
        ("local",),
        validation_alias="YTEMPIRE_SCRIPT_FALLBACKS",
        description="JSON list of PROVIDER or PROVIDER/MODEL to ask when the first one fails",
    )
    script_strategy: Literal["zero_shot", "few_shot", "chain_of_thought", "self_consistency"] = (
        Field("few_shot", validation_alias="YTEMPIRE_SCRIPT_STRATEGY")
    )
    llm_routing: Literal["order", "cheapest"] = Field(
        "order", validation_alias="YTEMPIRE_LLM_ROUTING"
    )
    llm_daily_budget_usd: float = Field(
        5.0, ge=0, validation_alias="YTEMPIRE_LLM_DAILY_BUDGET_USD", description="a UTC day, all"
    )
    llm_provider_budgets_usd: dict[str, float] = Field(
        {},
        validation_alias="YTEMPIRE_LLM_PROVIDER_BUDGETS_USD",
        description="JSON object: a provider and its share of the daily budget",
    )
    llm_timeout_s: float = Field(
        30.0, gt=0, validation_alias="YTEMPIRE_LLM_TIMEOUT_S", description="of silence in an answer"
    )
    llm_models_file: Path | None = Field(
        None, validation_alias="YTEMPIRE_LLM_MODELS", description="YAML of models; default: ours"
    )
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    openai_compatible_url: str | None = Field(
        None,
        validation_alias="OPENAI_COMPATIBLE_URL",
        description="base URL of a vLLM or Ollama server, such as http://localhost:8000/v1",
    )
    openai_compatible_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_COMPATIBLE_API_KEY"
    )
    openai_compatible_context: int = Field(
        8192, gt=0, validation_alias="OPENAI_COMPATIBLE_CONTEXT", description="tokens it takes"
    )
    local_llm_path: Path | None = Field(
        None,
        validation_alias="YTEMPIRE_LOCAL_LLM",
        description="transformers folder of a chat model; default: the bundled one",
    )
    local_llm_context: int = Field(8192, gt=0, validation_alias="YTEMPIRE_LOCAL_LLM_CONTEXT")
    local_llm_quantisation: Literal["none", "8bit", "4bit"] = Field(
        "none", validation_alias="YTEMPIRE_LOCAL_LLM_QUANTISATION"
    )

    # Voices
    voice_primary_provider: Literal["piper", "elevenlabs", "azure", "google"] = Field(
        "piper", validation_alias="VOICE_PRIMARY_PROVIDER"
    )
    voice_fallback_provider: Literal["piper", "elevenlabs", "azure", "google"] = Field(
        "piper", validation_alias="VOICE_FALLBACK_PROVIDER"
    )
    voice_daily_budget_usd: float = Field(
        5.0, ge=0, validation_alias="YTEMPIRE_VOICE_DAILY_BUDGET_USD", description="a UTC day, all"
    )
    elevenlabs_api_key: SecretStr | None = Field(None, validation_alias="ELEVENLABS_API_KEY")
    elevenlabs_voice: str = Field("21m00Tcm4TlvDq8ikWAM", validation_alias="ELEVENLABS_VOICE")
    elevenlabs_model: str = Field("eleven_multilingual_v2", validation_alias="ELEVENLABS_MODEL")
    azure_speech_key: SecretStr | None = Field(None, validation_alias="AZURE_SPEECH_KEY")
    azure_speech_region: str = Field(
        "eastus", pattern=r"^[a-z0-9]+$", validation_alias="AZURE_SPEECH_REGION"
    )
    azure_voice: str = Field("en-US-AndrewNeural", validation_alias="AZURE_VOICE")
    google_tts_api_key: SecretStr | None = Field(None, validation_alias="GOOGLE_TTS_API_KEY")
    google_voice: str = Field("en-US-Neural2-D", validation_alias="GOOGLE_VOICE")

    # Thumbnails
    thumbnail_variants: int = Field(10, ge=1, le=20, validation_alias="THUMBNAIL_VARIATIONS")
    thumbnail_model_path: Path | None = Field(
        None,
        validation_alias="THUMBNAIL_MODEL_PATH",
        description="diffusers folder of a Stable Diffusion XL model; none composes instead",
    )
    thumbnail_model_width: int = Field(
        1280, ge=64, multiple_of=8, validation_alias="THUMBNAIL_MODEL_WIDTH"
    )
    thumbnail_steps: int | None = Field(
        None,
        ge=1,
        validation_alias="THUMBNAIL_INFERENCE_STEPS",
        description="default: that of the style",
    )
    thumbnail_guidance: float | None = Field(
        None, ge=0, validation_alias="THUMBNAIL_GUIDANCE_SCALE"
    )
    thumbnail_memory: Literal["none", "slices", "model_offload", "sequential_offload"] = Field(
        "none", validation_alias="THUMBNAIL_MEMORY"
    )

    # The gate
    gate_min_score: float = Field(0.85, ge=0, le=1, validation_alias="YTEMPIRE_GATE_MIN_SCORE")
    gate_reject_score: float = Field(
        0.60, ge=0, le=1, validation_alias="YTEMPIRE_GATE_REJECT_SCORE"
    )
    gate_retries: int = Field(
        2,
        ge=0,
        le=2,
        validation_alias="YTEMPIRE_GATE_RETRIES",
        description="how often a script is written again while its score rises",
    )
    approval_hours: float = Field(
        0,
        ge=0,
        validation_alias="YTEMPIRE_APPROVAL_HOURS",
        description="how long a held video waits for a person's answer; 0 asks nobody",
    )
    gpu_pod_file: Path | None = Field(
        None,
        validation_alias="YTEMPIRE_GPU_POD_FILE",
        description="YAML of the pod that KubernetesExecutor merges into that of a GPU stage",
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

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """These settings with some replaced; a None replaces nothing.

        Raises:
            ConfigurationError: if a value does not fit; the message names its variable.
        """
        values: dict[str, Any] = {}
        for name, value in changes.items():
            if value is None:
                continue
            try:
                values[name] = TypeAdapter(Settings.model_fields[name].annotation).validate_python(
                    value
                )
            except ValidationError as error:
                problem = error.errors()[0]["msg"]
                raise ConfigurationError(f"{variable(name)}={value!r}: {problem}") from error
        return self.model_copy(update=values)

    def require(self, field: str) -> str:
        """Return a setting that must have a value, secrets revealed.

        Raises:
            ConfigurationError: if it has none; the message names the variable.
        """
        value = getattr(self, field)
        if value is None:
            raise ConfigurationError(
                f"{variable(field)} is not set; set it, or run `ytempire up` for the embedded"
                " service"
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
    def uses_world(self) -> bool:
        """Whether the sources ask the simulated world instead of the providers.

        Raises:
            ConfigurationError: if the world is asked for and there is none.
        """
        if self.sources_from == "world":
            self.require("world_url")
        return self.sources_from != "providers" and bool(self.world_url)

    def provider_url(self, url: str) -> str:
        """Where to ask instead of `url`, an address of a provider.

        The simulated world serves every provider below a folder named like its host.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host in self.provider_urls:
            return self.provider_urls[host].rstrip("/") + parts.path
        if self.uses_world:
            return f"{self.require('world_url').rstrip('/')}/{host}{parts.path}"
        return url

    def credential(self, field: str) -> str | None:
        """A provider's credential; the world's own key where the world is asked.

        So a real key never goes to the world, and its key never to a provider.
        """
        value = self.world_key if self.uses_world else getattr(self, field)
        return (
            str(value.get_secret_value() if isinstance(value, SecretStr) else value or "") or None
        )

    def require_credential(self, field: str) -> str:
        """A provider's credential that must be there.

        Raises:
            SourceUnavailableError: if it is not; the message names the variable.
        """
        value = self.credential(field)
        if value is None:
            raise SourceUnavailableError(f"set {variable(field)}")
        return value

    def bucket(self, part: Bucket) -> str:
        """Name of the bucket of `part`."""
        return f"{self.bucket_prefix}-{part}"


def explicit_environment() -> dict[str, str]:
    """The variables that a person set, in the environment or `.env`, by name.

    Services that start in another folder with a clean environment get these.
    """
    found = {**dotenv_values(".env"), **os.environ}
    names = (variable(field) for field in Settings.model_fields)
    return {name: value for name in names if (value := found.get(name))}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Read the settings once per process.

    Raises:
        ConfigurationError: one line per wrong value, naming the variable.
    """
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

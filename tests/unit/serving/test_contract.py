"""Routes, fields and enumerations are those of the reference (8.1), and every route shows how."""

from __future__ import annotations

import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from ml.serving import model_schemas, schemas
from ml.serving.app import create_app
from ml.serving.forecasts import recommended
from ml.settings import Settings

TREND = {
    "topic": "string",
    "niche": "gaming",
    "data_sources": ["youtube", "twitter", "reddit", "google_trends", "tiktok"],
    "timeframe": "24h",
    "channel_context": {
        "channel_id": "string",
        "subscriber_count": 1000,
        "average_views": 100,
        "content_history": ["a", "b"],
    },
    "confidence_threshold": 0.75,
}
# Fields of the answers, as the reference writes them.
ANSWERS = {
    schemas.TrendPrediction: {
        "prediction_id", "trend_score", "confidence", "viral_probability", "predicted_peak",
        "engagement_forecast", "recommended_action", "supporting_signals", "metadata",
    },
    schemas.EngagementForecast: {"views", "likes", "comments"},
    schemas.PredictionMetadata: {"model_version", "inference_time_ms", "timestamp"},
    schemas.Signal: {"source", "strength", "volume"},
    model_schemas.ListedModel: {"model_id", "type", "version", "status", "deployed_at", "metrics"},
    model_schemas.ListedMetrics: {"accuracy", "latency_p95_ms", "requests_24h"},
    model_schemas.Performance: {"accuracy", "precision", "recall", "f1_score"},
    model_schemas.Operational: {"requests", "errors", "error_rate", "latency"},
    model_schemas.Latency: {"p50_ms", "p95_ms", "p99_ms"},
    model_schemas.Cost: {"compute_cost", "api_cost", "total_cost"},
    model_schemas.Drift: {"feature_drift", "prediction_drift", "alert_triggered"},
    model_schemas.ReloadAnswer: {
        "status", "model_id", "loaded_at", "validation_passed", "canary_enabled",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def document():
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none", redis_url="redis://127.0.0.1:1/0",
        app_env="production",
    )  # fmt: skip
    return create_app(settings).openapi()


@pytest.mark.parametrize("timeframe", ["24h", "48h", "7d", "30d"])
@pytest.mark.parametrize(
    "niche", ["gaming", "education", "entertainment", "technology", "lifestyle"]
)
def test_the_references_request_is_accepted(timeframe, niche):
    schemas.TrendRequest.model_validate(TREND | {"timeframe": timeframe, "niche": niche})


@pytest.mark.parametrize(
    "wrong",
    [{"niche": "cooking"}, {"timeframe": "1y"}, {"confidence_threshold": 2}, {"extra": 1},
     {"topic": ""}, {"topic": "a\x00b"}, {"data_sources": ["facebook"]}, {"data_sources": []}],
)  # fmt: skip
def test_anything_else_is_refused(wrong):
    with pytest.raises(ValidationError):
        schemas.TrendRequest.model_validate(TREND | wrong)


@pytest.mark.parametrize("shape", ANSWERS, ids=lambda shape: shape.__name__)
def test_answers_have_the_references_fields(shape):
    assert set(shape.model_fields) >= ANSWERS[shape]


def test_the_routes_are_those_that_are_there_and_no_more(document):
    assert set(document["paths"]) == {
        "/ml/v1/predict/trend",
        "/ml/v1/predict/video",
        "/ml/v1/score/quality",
        "/ml/v1/recommend",
        "/ml/v1/features",
        "/ml/v1/models",
        "/ml/v1/models/{model_id}/metrics",
        "/ml/v1/models/{model_id}/reload",
        "/health",
        "/ready",
        "/metrics",
        "/auth/token",
        "/.well-known/jwks.json",
    }


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not path.startswith(("/auth", "/.well-known")):
                yield path, method, operation


def test_every_route_needs_a_caller_but_health_and_ready(document):
    open_ones = {
        path for path, _, operation in operations(document) if not operation.get("security")
    }
    assert open_ones == {"/health", "/ready"}


def test_every_route_has_an_example_that_fits_its_schema(document):
    components = {"components": document["components"]}
    checked = 0
    for path, _, operation in operations(document):
        (content,) = operation["responses"]["200"]["content"].values()
        assert "example" in content, path
        if "$ref" in content.get("schema", {}):
            Draft202012Validator(content["schema"] | components).validate(content["example"])
            checked += 1
        if body := operation.get("requestBody"):
            schema = body["content"]["application/json"]["schema"]
            example = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]][
                "example"
            ]
            Draft202012Validator(schema | components).validate(example)
    assert checked == 10


@pytest.mark.parametrize(
    ("score", "wanted", "action"),
    [
        (0.9, 0.75, "create_immediately"),
        (0.6, 0.75, "create_soon"),
        (0.6, 0.2, "create_immediately"),
        (0.3, 0.75, "monitor"),
        (0.3, 0.2, "monitor"),
        (0.2, 0.75, "skip"),
    ],
)
def test_what_to_do_follows_both_thresholds(score, wanted, action):
    assert recommended(score, wanted, decision=0.5) == action


def test_the_api_imports_no_trainer_no_generator_and_no_airflow():
    script = (
        "import sys, ml.serving.app, ml.serving.server, ml.trend.video.loader,"
        " ml.quality.policy.loader\n"
        "bad = [m for m in sys.modules if m.startswith(('ml.generation', 'airflow'))"
        " or (m.startswith('ml.') and m.endswith('.train'))]\n"
        "heavy = [m for m in ('torch', 'mlflow', 'feast', 'pandas') if m in sys.modules]\n"
        "print(bad, heavy)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.strip() == "[] []", found.stdout + found.stderr

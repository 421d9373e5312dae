"""Routes, fields and enumerations are those of the reference (8.1), and every route shows how."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from ml.serving import job_schemas, model_schemas, schemas, work_schemas
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
# Every other request of the reference, as it is written there; of alternatives the first.
REQUESTS = {
    work_schemas.ScriptRequest: {
        "topic": "string",
        "video_type": "tutorial",
        "duration_seconds": 600,
        "style": {"tone": "professional", "personality": "friendly", "pacing": "fast"},
        "channel_personality": {
            "name": "string", "catchphrases": ["array of strings"], "speaking_style": "string",
        },
        "target_audience": {
            "age_range": "13-17", "interests": ["array of strings"], "knowledge_level": "beginner",
        },
        "seo_keywords": ["array of strings"],
        "hooks_required": 3,
        "include_cta": True,
    },
    work_schemas.VoiceRequest: {
        "text": "string",
        "voice_profile": "energetic_gamer",
        "provider": "elevenlabs",
        "settings": {
            "speed": 1.0, "pitch": 1.0, "volume": 1.0, "stability": 0.75,
            "similarity_boost": 0.85, "style": 0.7,
        },
        "format": "mp3",
        "sample_rate": 44100,
        "ssml_enabled": False,
        "emotion": "neutral",
    },
    work_schemas.ThumbnailRequest: {
        "video_title": "string",
        "video_topic": "string",
        "style": "vibrant",
        "elements": {
            "include_face": True,
            "face_expression": "shocked",
            "text_overlay": {"main_text": "string", "subtext": "string", "position": "center"},
            "background": "gradient",
            "brand_colors": ["#FF0000", "#00FF00"],
        },
        "target_ctr": 0.08,
        "variations": 3,
    },
    work_schemas.AssessRequest: {
        "content_type": "script",
        "content_data": {
            "script": "string", "audio_url": "string", "video_url": "string",
            "thumbnail_url": "string",
        },
        "assessment_criteria": {
            "check_copyright": True, "check_policy": True, "check_brand": True,
            "check_quality": True,
        },
        "channel_guidelines": {
            "brand_voice": "string", "prohibited_topics": ["array"], "quality_threshold": 0.85,
        },
    },
    model_schemas.ReloadRequest: {
        "version": "1.2.4",
        "source": "s3://models/trend_predictor/v1.2.4",
        "validate": True,
        "canary_percentage": 10,
    },
    job_schemas.TrainRequest: {
        "model_type": "trend_predictor",
        "dataset": {
            "source": "s3://datasets/trends/2025-01",
            "split": {"train": 0.7, "val": 0.15, "test": 0.15},
        },
        "hyperparameters": {
            "learning_rate": 0.001, "batch_size": 32, "epochs": 100, "early_stopping_patience": 10,
        },
        "experiment_name": "trend_predictor_jan_2025",
        "tags": ["production", "monthly_retrain"],
    },
}  # fmt: skip
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
    work_schemas.ScriptAnswer: {
        "script_id", "script", "quality_metrics", "seo_metadata", "estimated_performance",
        "generation_cost",
    },
    work_schemas.ScriptBody: {"intro", "segments", "outro"},
    work_schemas.Intro: {"hook", "duration_seconds", "text"},
    work_schemas.Segment: {
        "type", "timestamp", "duration_seconds", "text", "visual_cues", "emphasis_points",
    },
    work_schemas.Outro: {"duration_seconds", "text", "cta"},
    work_schemas.ScriptMetrics: {
        "coherence_score", "engagement_score", "seo_score", "originality_score",
    },
    work_schemas.SeoMetadata: {"title_suggestions", "description", "tags", "keywords_density"},
    work_schemas.EstimatedPerformance: {"retention_rate", "ctr", "engagement_rate"},
    work_schemas.VoiceAnswer: {
        "audio_id", "audio_url", "duration_seconds", "file_size_bytes", "format", "quality_score",
        "provider_used", "cost", "metadata",
    },
    work_schemas.VoiceMetadata: {"words_count", "speaking_rate", "model_version"},
    work_schemas.ThumbnailAnswer: {
        "thumbnail_id", "thumbnails", "recommended_variant", "generation_details", "cost",
    },
    work_schemas.Thumbnail: {
        "variant_id", "image_url", "predicted_ctr", "quality_score", "ab_test_group",
    },
    work_schemas.GenerationDetails: {"model", "inference_steps", "guidance_scale"},
    work_schemas.Assessment: {
        "assessment_id", "overall_score", "passed", "details", "recommendations",
    },
    work_schemas.AssessmentDetails: {"copyright", "policy", "brand", "quality"},
    work_schemas.Copyright: {"score", "issues", "risk_level"},
    work_schemas.Policy: {"score", "violations", "advertiser_friendly"},
    work_schemas.Brand: {"score", "consistency", "tone_match"},
    work_schemas.Quality: {"score", "technical", "creative"},
    job_schemas.TrainAnswer: {"job_id", "status", "estimated_completion", "tracking_url"},
    job_schemas.TrainStatus: {
        "job_id", "status", "progress", "current_epoch", "total_epochs", "metrics", "logs_url",
        "artifacts",
    },
    job_schemas.TrainMetrics: {"train_loss", "val_loss", "best_val_loss"},
    job_schemas.TrainArtifacts: {"model_path", "metrics_path"},
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


@pytest.mark.parametrize("shape", REQUESTS, ids=lambda shape: shape.__name__)
def test_every_other_request_of_the_reference_is_accepted(shape):
    shape.model_validate(REQUESTS[shape])


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
        "/ml/v1/generate/script",
        "/ml/v1/synthesize/voice",
        "/ml/v1/generate/thumbnail",
        "/ml/v1/assess/quality",
        "/ml/v1/jobs/{job_id}",
        "/ml/v1/jobs/{job_id}/files/{name}",
        "/ml/v1/train/{model_type}",
        "/ml/v1/train/{job_id}/status",
        "/health",
        "/ready",
        "/metrics",
        "/auth/token",
        "/.well-known/jwks.json",
    }


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_route_needs_a_caller_but_those_for_everybody(document):
    open_ones = {
        path for path, _, operation in operations(document) if not operation.get("security")
    }
    assert open_ones == {"/health", "/ready", "/auth/token", "/.well-known/jwks.json"}


def test_every_route_has_an_example_that_fits_its_schema(document):
    components = {"components": document["components"]}
    checked = 0
    for path, _, operation in operations(document):
        for status in {"200", "202"} & set(operation["responses"]):
            (content,) = operation["responses"][status]["content"].values()
            assert "example" in content, path
            if "$ref" in content.get("schema", {}):
                Draft202012Validator(content["schema"] | components).validate(content["example"])
                checked += 1
        for body in operation.get("requestBody", {}).get("content", {}).values():
            schema = body["schema"]
            example = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            if path != "/auth/token":  # a form; its fields have their examples
                Draft202012Validator(schema | components).validate(example["example"])
    assert checked == 22


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
        " ml.quality.policy.loader, ml.serving.client\n"
        "bad = [m for m in sys.modules if m.startswith(('ml.generation', 'airflow'))"
        " or (m.startswith('ml.') and m.endswith('.train'))]\n"
        "heavy = [m for m in ('torch', 'mlflow', 'feast', 'pandas') if m in sys.modules]\n"
        "print(bad, heavy)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.strip() == "[] []", found.stdout + found.stderr


@pytest.mark.parametrize(
    ("request_type", "body"),
    [
        (schemas.QualityRequest, {"texts": ["fine", "not\0fine"]}),
        (work_schemas.VoiceRequest, {"text": "fine, and then\0"}),
        (work_schemas.VoiceRequest, {"text": "fine, and then \x07"}),
        (work_schemas.AssessRequest, {"content_type": "script", "content_data": {"script": "\0"}}),
        (job_schemas.TrainRequest, {"hyperparameters": {"a\0": 1}}),
    ],
)
def test_a_text_that_postgres_cannot_keep_is_refused(request_type, body):
    """It would hold up the predictions behind it."""
    with pytest.raises(ValidationError):
        request_type.model_validate(body)
    clean = json.loads(json.dumps(body).replace("\\u0000", "").replace("\\u0007", ""))
    request_type.model_validate(clean)

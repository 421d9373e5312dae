"""Examples of long work, for the documentation."""

from __future__ import annotations

from typing import Any

from ml.serving.job_schemas import JobState

_ID = "8b1b2b1e-7f0a-4a52-9d7e-0d0c0b1a2f3e"
_FILES = f"/ml/v1/jobs/{_ID}/files"

SCRIPT: dict[str, Any] = {
    "script_id": _ID,
    "script": {
        "intro": {
            "hook": "Why does everybody watch deep sea robots?",
            "duration_seconds": 6.2,
            "text": "Why does everybody watch deep sea robots? Here is what the data say.",
        },
        "segments": [
            {
                "type": "main_content",
                "timestamp": "00:00:06",
                "duration_seconds": 8.1,
                "text": '"Eight kilometres down" has 120,000 views.',
                "visual_cues": ["fact card: Eight kilometres down"],
                "emphasis_points": ["120,000 views"],
            }
        ],
        "outro": {
            "duration_seconds": 5.0,
            "text": "What would you send down there? Follow us to see what rises next.",
            "cta": "Follow us to see what rises next.",
        },
    },
    "quality_metrics": {
        "coherence_score": 0.41,
        "engagement_score": None,
        "seo_score": None,
        "originality_score": 0.88,
    },
    "seo_metadata": {
        "title_suggestions": ["Deep sea robots: what the data say"],
        "description": "Why does everybody watch deep sea robots?",
        "tags": ["deep sea robots"],
        "keywords_density": {"robots": "3.1%"},
    },
    "estimated_performance": {"retention_rate": None, "ctr": None, "engagement_rate": None},
    "generation_cost": 0.0,
    "model": "local/SmolLM2-135M-Instruct",
    "reasons": {"quality_metrics.seo_score": "no ranking data to compute it from"},
}
VOICE: dict[str, Any] = {
    "audio_id": _ID,
    "audio_url": f"{_FILES}/voice.mp3",
    "duration_seconds": 4.1,
    "file_size_bytes": 42_000,
    "format": "mp3",
    "quality_score": None,
    "provider_used": "local",
    "cost": 0.0,
    "metadata": {
        "words_count": 9,
        "speaking_rate": 131.7,
        "model_version": "piper/en_US-joe-medium",
        "sample_rate": 44100,
        "integrated_lufs": -16.1,
        "true_peak_dbtp": -2.4,
    },
    "reasons": {"quality_score": "no model scores speech; loudness is measured"},
}
THUMBNAIL: dict[str, Any] = {
    "thumbnail_id": _ID,
    "thumbnails": [
        {
            "variant_id": "variant_1",
            "image_url": f"{_FILES}/thumbnail-1.jpg",
            "predicted_ctr": None,
            "quality_score": 0.94,
            "ab_test_group": "A",
        }
    ],
    "recommended_variant": "variant_1",
    "generation_details": {
        "model": "composer/pillow",
        "inference_steps": None,
        "guidance_scale": None,
    },
    "cost": 0.0,
    "reasons": {"thumbnails.predicted_ctr": "no model has learnt from clicks yet"},
}
ASSESSMENT: dict[str, Any] = {
    "assessment_id": _ID,
    "overall_score": 0.97,
    "pass": True,
    "details": {
        "copyright": {"score": None, "issues": [], "risk_level": None},
        "policy": {"score": 0.97, "violations": [], "advertiser_friendly": None},
        "brand": {"score": None, "consistency": None, "tone_match": None},
        "quality": {"score": 1.0, "technical": None, "creative": None},
    },
    "recommendations": [],
    "checks": [
        {
            "name": "unrepeated_runs",
            "kind": "heuristic",
            "value": 1.0,
            "threshold": "at least 0.8",
            "passed": True,
        }
    ],
    "model": "quality_policy",
    "model_version": "1.0.0",
    "reasons": {"details.brand": "no model knows a brand's voice"},
}
_RUNNING: dict[str, Any] = {
    "job_id": _ID,
    "kind": "synthesize_voice",
    "status": "running",
    "progress": 0.1,
    "step": "speaking",
    "created_at": "2026-01-10T10:00:00Z",
    "finished_at": None,
    "status_url": f"/ml/v1/jobs/{_ID}",
    "events_url": f"/ml/v1/jobs/{_ID}/events",
    "result": None,
    "error": None,
}
JOB: dict[str, Any] = _RUNNING | {
    "status": "completed",
    "progress": 1.0,
    "step": None,
    "finished_at": "2026-01-10T10:00:04Z",
    "result": VOICE,
}
TRAIN: dict[str, Any] = {
    "job_id": _ID,
    "status": "started",
    "estimated_completion": "2026-01-10T10:02:00Z",
    "tracking_url": "http://127.0.0.1:25000/#/experiments/1",
    "status_url": f"/ml/v1/train/{_ID}/status",
    "events_url": f"/ml/v1/train/{_ID}/events",
    "reasons": {"dataset": "models learn from the platform's own rows"},
}
TRAIN_STATUS: dict[str, Any] = {
    "job_id": _ID,
    "status": "completed",
    "progress": 1.0,
    "current_epoch": None,
    "total_epochs": None,
    "metrics": {
        "train_loss": None,
        "val_loss": None,
        "best_val_loss": None,
        "test": {"accuracy": 0.87, "auc": 0.95},
    },
    "logs_url": "http://127.0.0.1:28080/dags/train_trend_video/runs/api-8b1b2b1e",
    "artifacts": {"model_path": "models:/trend_video/3", "metrics_path": None},
    "decision": "beats the champion",
    "error": None,
    "reasons": {"current_epoch": "no model here is trained by epochs that it reports"},
}


def shown(value: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route about a job, with an example."""
    return {
        200: {"content": {"application/json": {"example": value}}},
        404: {"description": "The caller has no such job"},
    }


def work(value: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route of long work: the answer, or where to ask for it."""
    return {
        200: {"content": {"application/json": {"example": value}}},
        202: {
            "model": JobState,
            "description": "It goes on: ask `status_url`, or listen at `events_url`",
            "content": {"application/json": {"example": _RUNNING}},
        },
    }

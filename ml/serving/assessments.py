"""Puts together what is known about content: scores, checks, and what nobody can say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.measures import technical_score
from ml.serving.work_schemas import (
    Assessment,
    AssessmentDetails,
    AssessRequest,
    Brand,
    Check,
    Copyright,
    Policy,
    Quality,
)

_DECISION = 0.5
_MIN_VARIETY = 0.8
_WORD = re.compile(r"\w+")
_REASONS = {
    "details.copyright": "nothing here knows other people's works; this is no clearance",
    "details.brand": "no model knows a brand's voice",
    "details.policy.advertiser_friendly": "no model knows advertisers' rules",
    "details.quality.creative": "no model scores creativity",
}
_UNREAD = "what is said and shown in a file is not read; send the script"
_NO_MODEL = "no champion of quality_policy; the channel's list alone was searched"


@dataclass(frozen=True)
class ModelScores:
    """Probabilities of `quality_policy` for a text, and which version gave them."""

    scores: Mapping[str, float]
    model: str
    version: str


def text_checks(script: str) -> list[Check]:
    """Whether a text repeats itself: the share of its runs of four words that it says once."""
    said = [word.lower() for word in _WORD.findall(script)]
    runs = Counter(tuple(said[i : i + 4]) for i in range(len(said) - 3))
    if not runs:
        return []
    share = round(sum(count == 1 for count in runs.values()) / len(runs), 4)
    return [
        Check(
            name="unrepeated_runs",
            kind="heuristic",
            value=share,
            threshold=f"at least {_MIN_VARIETY}",
            passed=share >= _MIN_VARIETY,
        )
    ]


def assessment(
    assessment_id: str,
    request: AssessRequest,
    checks: Sequence[Check],
    policy: ModelScores | None,
    threshold: float,
) -> Assessment:
    """The answer.

    Args:
        assessment_id: of the prediction or the job.
        request: what is asked.
        checks: measurements of a file, or of a text.
        policy: the model's scores of a text; None where there is no champion or no text.
        threshold: that the overall score must reach where the request names none.
    """
    criteria, wanted = request.assessment_criteria, request.channel_guidelines.quality_threshold
    threshold = threshold if wanted is None else wanted
    reasons: dict[str, str] = {}
    details = AssessmentDetails(
        copyright=Copyright(score=None, issues=[], risk_level=None)
        if criteria.check_copyright
        else None,
        policy=_policy(request, policy, reasons) if criteria.check_policy else None,
        brand=Brand(score=None, consistency=None, tone_match=None)
        if criteria.check_brand
        else None,
        quality=_quality(request, checks, reasons) if criteria.check_quality else None,
    )
    asked = {f"details.{name}" for name, part in details if part is not None}
    reasons |= {
        field: why for field, why in _REASONS.items() if ".".join(field.split(".")[:2]) in asked
    }
    if request.channel_guidelines.brand_voice is not None:
        reasons["channel_guidelines.brand_voice"] = _REASONS["details.brand"]
    known = [
        part.score
        for part in (details.policy, details.quality)
        if part is not None and part.score is not None
    ]
    overall = min(known, default=None)
    if overall is None:
        reasons["overall_score"] = "none of the parts that were asked for has a score"
    violations = details.policy.violations if details.policy else []
    failed = [] if details.quality is None else [check for check in checks if not check.passed]
    return Assessment(
        **{"pass": None if overall is None else overall >= threshold and not violations},
        assessment_id=assessment_id,
        overall_score=overall,
        details=details,
        recommendations=[
            *(f"remove what is {violation}" for violation in violations),
            *(f"{check.name} is {check.value}; wanted {check.threshold}" for check in failed),
        ],
        checks=list(checks) if criteria.check_quality else [],
        model=policy.model if policy else None,
        model_version=policy.version if policy else None,
        reasons=reasons,
    )


def _policy(request: AssessRequest, model: ModelScores | None, reasons: dict[str, str]) -> Policy:
    if request.content_type != "script":
        reasons["details.policy.score"] = _UNREAD
        return Policy(score=None, violations=[], advertiser_friendly=None)
    script = (request.content_data.script or "").casefold()
    violations = [
        f"prohibited: {topic}"
        for topic in request.channel_guidelines.prohibited_topics
        if re.search(rf"\b{re.escape(topic.casefold())}\b", script)
    ]
    if model is None:
        reasons["details.policy.score"] = _NO_MODEL
        return Policy(score=None, violations=violations, advertiser_friendly=None)
    bad = {name: model.scores[name] for name in ("spam", "toxicity")}
    violations += [name for name, score in bad.items() if score >= _DECISION]
    reasons["details.policy.score"] = "1 less the larger of the model's spam and toxicity"
    score = round(1 - max(bad.values()), 4)
    return Policy(score=score, violations=violations, advertiser_friendly=None)


def _quality(request: AssessRequest, checks: Sequence[Check], reasons: dict[str, str]) -> Quality:
    if request.content_type == "script":
        reasons["details.quality.technical"] = "a text has no technical side"
        if not checks:
            reasons["details.quality.score"] = "the text is too short for a heuristic"
            return Quality(score=None, technical=None, creative=None)
        reasons["details.quality.score"] = "a heuristic: how little the text repeats itself"
        return Quality(score=checks[0].value, technical=None, creative=None)
    score = technical_score([check.passed for check in checks]) if checks else None
    return Quality(score=score, technical=score, creative=None)

"""What is said about content, what is not known, and which files may be asked about."""

from __future__ import annotations

import pytest

from ml.measures import technical_score
from ml.serving.assessments import ModelScores, assessment, text_checks
from ml.serving.own_files import ForeignAddressError, content_key
from ml.serving.work_schemas import AssessRequest
from ml.settings import Settings

JOB = "8b1b2b1e-7f0a-4a52-9d7e-0d0c0b1a2f3e"
KIND = ModelScores({"spam": 0.02, "toxicity": 0.1, "clickbait": 0.9}, "quality_policy", "1.0.0")
TEXT = "Robots dived eight kilometres. Nobody had been there before them."


def request(script=TEXT, **guidelines):
    return AssessRequest(
        content_type="script",
        content_data={"script": script},
        channel_guidelines=guidelines,
    )


def assessed(asked, policy=KIND, threshold=0.85):
    checks = text_checks(asked.content_data.script)
    return assessment("id", asked, checks, policy, threshold)


def test_the_lowest_known_score_decides_and_the_rest_is_null_with_its_reason():
    found = assessed(request())
    assert found.overall_score == found.details.policy.score == 0.9
    assert found.passed
    assert found.details.copyright.score is None
    assert {"details.copyright", "details.brand"} <= set(found.reasons)
    assert found.model_dump(by_alias=True)["pass"] is True


def test_what_the_channel_prohibits_does_not_pass_whatever_the_score_is():
    found = assessed(
        request("Play POKER tonight, friends, it is good fun.", prohibited_topics=["poker"])
    )
    assert found.details.policy.violations == ["prohibited: poker"]
    assert found.overall_score >= 0.85
    assert found.passed is False
    assert found.recommendations == ["remove what is prohibited: poker"]


def test_a_prohibited_word_is_a_whole_word_and_no_pattern():
    found = assessed(request("A pokerface.", prohibited_topics=["poker", "(a+)+$"]))
    assert found.details.policy.violations == []


def test_without_a_champion_only_the_heuristic_scores_and_says_so():
    found = assessed(request("spam spam spam spam spam spam spam spam"), policy=None)
    assert found.details.policy.score is None
    assert "no champion" in found.reasons["details.policy.score"]
    assert found.overall_score == found.details.quality.score == 0
    assert found.passed is False


def test_nothing_asked_and_nothing_known_is_no_verdict():
    nothing = dict.fromkeys(
        ("check_copyright", "check_policy", "check_brand", "check_quality"), False
    )
    asked = request().model_copy(
        update={"assessment_criteria": type(request().assessment_criteria)(**nothing)}
    )
    found = assessed(asked)
    assert (found.overall_score, found.passed) == (None, None)
    assert set(found.reasons) == {"overall_score"}


@pytest.mark.parametrize(("failures", "score"), [(0, 1.0), (1, 0.8), (3, 0.6), (12, 0.0)])
def test_the_technical_score_falls_with_each_failed_check(failures, score):
    assert technical_score([n >= failures for n in range(13)]) == score


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data", "https://example.org/a.mp3", "file:///etc/passwd",
        "s3://other-content/videos/a.mp4", "s3://ytempire-bronze/videos/a.mp4", "//evil/a",
        "s3://ytempire-content/../bronze/a", "s3://ytempire-content/videos/../../a.mp4",
        "s3://ytempire-content/audit/a", f"/ml/v1/jobs/{JOB}/files/../../x", "string", "",
        f"/ml/v1/jobs/{JOB}/files/a.mp3\n", "s3://ytempire-content/videos/a.mp4?x",
    ],
)  # fmt: skip
def test_no_address_but_the_platforms_own_is_read(address):
    with pytest.raises(ForeignAddressError):
        content_key(address, Settings())


def test_the_platforms_own_files_are_found_by_their_keys():
    own = f"/ml/v1/jobs/{JOB}/files/voice.mp3"
    assert content_key(own, Settings()) == f"jobs/{JOB}/voice.mp3"
    key = "videos/v-1/video/abc/video.mp4"
    assert content_key(f"s3://ytempire-content/{key}", Settings()) == key

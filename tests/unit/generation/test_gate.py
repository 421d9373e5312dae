from __future__ import annotations

import numpy as np
import pytest

from ml.exceptions import GenerationError
from ml.generation.captions import TimedSentence, Timeline, captions, from_srt, to_srt
from ml.generation.checks import Check, Checkpoint, aggregate, decide
from ml.generation.gate import exposed_check
from ml.generation.gate_technical import sync_error_ms
from ml.generation.media import loudnorm_report, probe
from ml.generation.relevance import measure
from ml.safety.policy import listed_words


def check(part: str, score: float) -> Check:
    return Check("x", part, "rule", "1", None, "", score == 1.0, score)


def test_one_technical_failure_is_enough_to_hold_a_video():
    good = [check("technical", 1.0), check("content", 0.95), check("policy", 1.0)]
    assert aggregate(good)["overall"] == 0.95
    assert aggregate([*good, check("technical", 0.0)])["overall"] == 0.8
    assert aggregate([*good, *[check("technical", 0.0)] * 4])["overall"] == 0.5


def test_nothing_judged_scores_nothing():
    assert aggregate([]) == {"overall": 0.0}
    unknown = Check("x", "content", "model", "1", None, "", True, None, "no model")
    assert aggregate([unknown])["overall"] == 0.0


def test_an_estimate_is_no_part_of_the_score():
    estimate = Check("engagement", "estimate", "model", "1", 0.1, "", True, 0.1)
    assert aggregate([check("content", 0.9), estimate]) == {"content": 0.9, "overall": 0.9}


def test_a_checkpoint_names_its_weakest_check():
    checks = [check("content", 1.0), Check("y", "content", "model", "1", 0.1, "", True, 0.7)]
    point = Checkpoint.of("script", checks, (0.85, 0.6))
    assert (point.verdict, point.weakest, point.scores["overall"]) == ("held", "y", 0.7)


@pytest.mark.parametrize(
    ("score", "verdict"), [(0.85, "pass"), (0.84, "held"), (0.60, "held"), (0.59, "rejected")]
)
def test_thresholds_belong_to_the_better_verdict(score, verdict):
    assert decide(score, 0.85, 0.60) == verdict


def test_a_thumbnail_that_shows_too_much_is_not_passed_and_nobody_looking_is_no_score():
    seen = {"nsfw": 0.7, "nsfw_reason": ""}
    shown = exposed_check(seen, 0.6)
    assert not shown.passed
    assert Checkpoint.of("final", [shown], (0.85, 0.6)).verdict == "rejected"
    assert exposed_check(seen | {"nsfw": 0.0}, 0.6).score == 1
    unseen = exposed_check({"nsfw": None, "nsfw_reason": "not installed"}, 0.6)
    assert (unseen.passed, unseen.score, unseen.reason) == (True, None, "not installed")


def test_listed_words_match_whole_words_only():
    categories = {"drugs": ["meth"], "fraud": ["free crypto"]}
    assert listed_words("A method for Free Crypto", categories) == ["fraud: free crypto"]


def test_sync_error_is_that_of_the_worst_sentence():
    timeline = Timeline(
        sentences=[
            TimedSentence(scene=0, text="one two three", start=0.5, end=2.0),
            TimedSentence(scene=1, text="four five", start=3.0, end=4.0),
        ],
        duration=5.0,
        sample_rate=22050,
    )
    srt = from_srt(to_srt(captions(timeline)))
    assert sync_error_ms(timeline, srt, np.array([0.5, 3.0])) == pytest.approx(0, abs=1)
    assert sync_error_ms(timeline, srt, np.array([0.5, 3.2])) == pytest.approx(200, abs=1)
    assert sync_error_ms(timeline, srt[:-1], np.array([0.5, 3.0])) == float("inf")
    assert sync_error_ms(timeline, srt, np.array([])) == float("inf")


def test_a_file_that_is_no_media_is_refused(tmp_path):
    (tmp_path / "x.mp4").write_text("no video")
    with pytest.raises(GenerationError):
        probe(tmp_path / "x.mp4")


def test_a_missing_loudness_report_is_an_error():
    with pytest.raises(GenerationError, match="no report"):
        loudnorm_report("nothing here")


def test_relevance_tells_right_pairs_from_wrong_ones():
    topics = ["sourdough bread", "football transfers", "space telescopes"]
    scripts = ["Baking bread at home", "The club bought a striker", "A new telescope sees galaxies"]
    assert measure(topics, scripts).beats_all == 1.0
    assert measure(topics, scripts[1:] + scripts[:1]).beats_all == 0.0
    with pytest.raises(ValueError, match="two topics"):
        measure(topics[:1], scripts[:1])

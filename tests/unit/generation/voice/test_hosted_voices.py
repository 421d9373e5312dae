"""Hosted voices over the wire, in the simulated world."""

from __future__ import annotations

import json
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from ml.exceptions import ProviderError, QuotaExceededError, SourceUnavailableError
from ml.generation.brief import ChannelBrief
from ml.generation.budget import Budget, MemoryLedger
from ml.generation.captions import TimedSentence, Timeline, captions
from ml.generation.voice import provider_of, speak, speak_within_budget, trim
from ml.generation.voice_hosted import HOSTED, word_ends
from ml.generation.voice_interface import PROSODY, Line, Take, ssml
from ml.settings import Settings

LINES = [Line("Two million views <today> & more.", "excited", ("Two million",)), Line("It is new.")]


def context(settings: Settings, tmp_path, verdict: str = "pass") -> SimpleNamespace:
    script = SimpleNamespace(metrics={"checkpoint": {"verdict": verdict}})
    brief = SimpleNamespace(video_id="v", channel=ChannelBrief(channel_id="c", name="Trend Lab"))
    return SimpleNamespace(
        settings=settings, upstream={"script": script}, brief=brief, work=tmp_path, timeout_s=60
    )


def ledger(dollars: float = 5.0) -> MemoryLedger:
    return MemoryLedger(Budget(dollars))


@pytest.mark.parametrize("name", HOSTED)
def test_every_hosted_voice_speaks_line_by_line_for_its_price(settings, tmp_path, name):
    voice = HOSTED[name](settings)
    spoken = voice.speak(LINES, tmp_path, 30)
    assert len(spoken.takes) == 2
    assert all(np.abs(take.samples).max() > 5000 for take in spoken.takes)
    assert spoken.takes[0].samples.size > 2 * spoken.takes[1].samples.size
    characters = sum(len(line.text) for line in LINES)
    assert spoken.cost_usd == pytest.approx(characters * voice.price_usd_per_million / 1e6)


def test_times_of_words_come_with_the_sound_and_are_not_interpolated(settings, tmp_path):
    take = HOSTED["elevenlabs"](settings).speak([Line("One longer word.")], tmp_path, 30).takes[0]
    assert take.word_ends == pytest.approx((0.165, 0.605, 0.99), abs=0.01)
    samples, ends = trim(take, "One longer word.")
    timed = TimedSentence(
        scene=0, text="One longer word.", start=1.0, end=1.0 + samples.size / take.rate,
        word_ends=[1.0 + end for end in ends],
    )  # fmt: skip
    shown = captions(Timeline(sentences=[timed], duration=3, sample_rate=take.rate))
    assert shown[0].word_ends == tuple(timed.word_ends)


def test_times_that_do_not_fit_the_text_are_not_used():
    assert word_ends("One two", [0.1, 0.2]) is None
    assert word_ends("One two", None) is None
    loud = np.full(22050, 9000, dtype=np.int16)
    assert trim(Take(loud, 22050, (0.5, 0.2)), "One two")[1] is None


@pytest.mark.parametrize("name", HOSTED)
def test_without_a_key_a_voice_says_which_variable_to_set(name):
    with pytest.raises(SourceUnavailableError, match=r"set (ELEVENLABS|AZURE|GOOGLE)_"):
        provider_of(name, "v", Settings(world_url=None, provider_urls={}))


@pytest.mark.parametrize("name", HOSTED)
def test_429_waits_and_401_names_the_key(settings, tmp_path, faults, name):
    waits: list[float] = []
    voice = HOSTED[name](settings)
    voice.sleep = waits.append
    faults("429;times=2;retry_after=3")
    assert len(voice.speak(LINES[1:], tmp_path, 30).takes) == 1
    assert waits == [3.0, 3.0]
    faults("401")
    with pytest.raises(SourceUnavailableError, match="check YTEMPIRE_WORLD_KEY"):
        voice.speak(LINES[1:], tmp_path, 30)


@pytest.mark.parametrize("name", HOSTED)
@pytest.mark.parametrize("fault", ["500", "malformed", "truncate", "slow;seconds=2"])
def test_what_may_pass_is_tried_three_times(settings, tmp_path, faults, name, fault):
    waits: list[float] = []
    voice = HOSTED[name](settings)
    voice.sleep = waits.append
    faults(fault)
    with pytest.raises(ProviderError) as caught:
        voice.speak(LINES[1:], tmp_path, 30)
    assert len(waits) == 2
    assert settings.world_key.get_secret_value() not in str(caught.value)


def test_the_next_provider_speaks_when_the_first_does_not(settings, tmp_path, faults):
    faults("401;path=elevenlabs")
    asked = settings.model_copy(
        update={"voice_primary_provider": "elevenlabs", "voice_fallback_provider": "azure"}
    )
    spoken, failures = speak(context(asked, tmp_path), LINES)
    assert spoken.provider == "azure/en-US-AndrewNeural"
    assert "HTTP 401" in failures[0]


def test_a_rejected_script_costs_nothing(settings, tmp_path):
    asked = settings.model_copy(update={"voice_primary_provider": "elevenlabs"})
    spoken, _ = speak(context(asked, tmp_path, "rejected"), LINES[1:])
    assert spoken.provider.startswith("piper/")
    assert spoken.cost_usd == 0


def test_a_slow_provider_leaves_the_next_one_its_time(settings, tmp_path, faults):
    faults("slow;seconds=0.4;path=elevenlabs")
    asked = settings.changed(
        {"voice_primary_provider": "elevenlabs", "voice_fallback_provider": "azure",
         "llm_timeout_s": 2.0}
    )  # fmt: skip
    slow = context(asked, tmp_path)
    slow.timeout_s = 2.1
    spoken, failures = speak(slow, [*LINES, Line("And more.")])
    assert spoken.provider == "azure/en-US-AndrewNeural"
    assert "takes too long" in failures[0]


def test_the_budget_of_a_day_is_held_before_the_call_and_booked_after(settings, tmp_path):
    voice, characters = HOSTED["elevenlabs"](settings), sum(len(line.text) for line in LINES)
    book = MemoryLedger(Budget.of_voices(settings.changed({"voice_daily_budget_usd": 0.006})))
    spoken = speak_within_budget(voice, LINES, tmp_path, 30, book)
    assert spoken.cost_usd == pytest.approx(characters * 1e-4)
    assert [row[1:] for row in book.rows.values()] == [
        ("elevenlabs/21m00Tcm4TlvDq8ikWAM", pytest.approx(characters * 1e-4))
    ]
    with pytest.raises(QuotaExceededError, match="YTEMPIRE_VOICE_DAILY_BUDGET_USD"):
        speak_within_budget(HOSTED["elevenlabs"](settings), LINES, tmp_path, 30, book)
    assert len(book.rows) == 1


def test_lines_that_were_paid_before_a_failure_are_booked(settings, tmp_path, faults):
    voice, book = HOSTED["elevenlabs"](settings), ledger()
    voice.sleep = lambda _: faults("401")
    faults("malformed")  # answered, and charged for, before the key is refused
    with pytest.raises(SourceUnavailableError):
        speak_within_budget(voice, LINES, tmp_path, 30, book)
    ((_, _, dollars),) = book.rows.values()
    assert dollars == pytest.approx(len(LINES[0].text) * 1e-4)


def test_ssml_is_well_formed_and_carries_the_prosody():
    root = ElementTree.fromstring(ssml(LINES[0], voice="en-US-AndrewNeural", style=True))  # noqa: S314 - ours
    spoken = "".join(root.itertext())
    assert spoken == LINES[0].text
    prosody = next(e for e in root.iter() if e.tag.endswith("prosody"))
    assert prosody.attrib == {"rate": "115%", "pitch": "+10%", "volume": "+2.3dB"}
    assert any(e.tag.endswith("express-as") and e.get("style") == "excited" for e in root.iter())
    assert [e.text for e in root.iter() if e.tag.endswith("emphasis")] == ["Two million"]
    assert "prosody" not in ssml(Line("Plain."))


def test_a_piece_that_is_stressed_is_not_looked_for_in_the_marks_of_another():
    line = Line("A moderate level of emphasis & a level.", "neutral",
                ("moderate", "level", "emphasis &", "a level"))  # fmt: skip
    root = ElementTree.fromstring(ssml(line))  # noqa: S314 - ours
    assert "".join(root.itertext()) == line.text
    stressed = [e.text for e in root.iter() if e.tag.endswith("emphasis")]
    assert stressed == ["moderate", "level", "emphasis &", "a level"]


def test_the_mapping_of_emotions_is_that_of_the_design():
    assert json.loads(json.dumps({name: vars(p) for name, p in PROSODY.items()})) == {
        "neutral": {"pitch": 1.0, "rate": 1.0, "energy": 0.5},
        "excited": {"pitch": 1.1, "rate": 1.15, "energy": 0.8},
        "serious": {"pitch": 0.95, "rate": 0.9, "energy": 0.4},
        "friendly": {"pitch": 1.05, "rate": 1.05, "energy": 0.6},
        "mysterious": {"pitch": 0.9, "rate": 0.85, "energy": 0.3},
    }

"""Which models there are, what they cost, how the local one is loaded, how answers are read."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import BaseModel, ConfigDict

from ml.exceptions import ConfigurationError
from ml.generation.document import PlannedForm
from ml.generation.llm.catalog import BUNDLED, chain, known_models
from ml.generation.llm.interface import DeclinedError, InterruptedAnswerError, Usage
from ml.generation.llm.local import load_options, quantisation_config
from ml.generation.llm.structured import InvalidAnswerError, parse, plain_schema
from ml.generation.llm.wire import Answer, failures, retry_after
from ml.settings import Settings


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    tags: list[str]


def names(**values) -> list[str]:
    return [model.name for model in chain(Settings(**values))]


def test_the_chain_is_the_provider_then_its_fallbacks_each_once():
    assert names() == [f"local/{BUNDLED}"]
    assert names(script_model_provider="openai") == ["openai/gpt-6-luna", f"local/{BUNDLED}"]
    named = {"script_model_provider": "anthropic", "script_model_name": "claude-sonnet-5-5"}
    others = ("openai", "openai_compatible/llama", "openai")
    expected = ["anthropic/claude-sonnet-5-5", "openai/gpt-6-luna", "openai_compatible/llama"]
    assert names(**named, script_model_fallbacks=others) == expected


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"script_model_fallbacks": ("grok",)}, "names no provider"),
        ({"script_model_provider": "openai", "script_model_name": "gpt-4"}, "no price is known"),
        ({"script_model_provider": "openai_compatible"}, "name the model"),
    ],
)
def test_a_model_that_is_not_known_is_refused(values, said):
    with pytest.raises(ConfigurationError, match=said):
        names(**values)


def test_every_paid_model_has_a_price_and_its_source():
    for model in known_models(Settings()):
        assert 0 < model.input_usd < model.output_usd
        assert model.source.startswith("https://")


def test_a_long_prompt_costs_more(tmp_path):
    haiku = chain(Settings(script_model_provider="anthropic"))[0]
    assert haiku.cost_usd(Usage(100_000, 1000)) == pytest.approx(0.0105)
    assert haiku.cost_usd(Usage(100_001, 1000)) == pytest.approx(0.0525, rel=1e-4)


def test_prices_can_come_from_another_file(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text(
        f"as_of: {date(2026, 11, 21)}\nmodels:\n  - {{provider: openai, model: own, context: 99,"
        " max_output: 9, input_usd: 1, output_usd: 2}\n"
    )
    own = {"script_model_provider": "openai", "llm_models_file": path}
    assert names(**own)[0] == "openai/own"
    (tmp_path / "wrong.yaml").write_text("models: 3")
    with pytest.raises(ConfigurationError, match="cannot read the models"):
        names(**{**own, "llm_models_file": tmp_path / "wrong.yaml"})


def test_quantisation_needs_a_gpu():
    import torch

    assert load_options("none", on_gpu=False)["dtype"] in (torch.float32, torch.bfloat16)
    assert load_options("none", on_gpu=True) == {"dtype": torch.bfloat16}
    with pytest.raises(ConfigurationError, match="needs a GPU"):
        load_options("4bit", on_gpu=False)
    four, eight = quantisation_config("4bit"), quantisation_config("8bit")
    assert (four.load_in_4bit, four.bnb_4bit_quant_type) == (True, "nf4")
    assert four.bnb_4bit_use_double_quant
    assert eight.load_in_8bit


@pytest.mark.parametrize(
    "text",
    [
        '{"title": "t", "tags": []}',
        'Sure!\n```json\n{"title": "t", "tags": []}\n```\nDone.',
        'Here it is: {"title": "t", "tags": []} I hope it helps.',
    ],
)
def test_words_around_the_object_do_not_matter(text):
    assert parse(text, Form, lambda _: []) == Form(title="t", tags=[])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is no complete JSON object"),
        ('{"title": "t", "tags": [', "it is no complete JSON object"),
        ('{"title": "t"}', "tags: Field required"),
        ('{"title": 3, "tags": [], "more": 1}', "title: Input should be a valid string"),
    ],
)
def test_what_is_wrong_is_said(text, problem):
    with pytest.raises(InvalidAnswerError) as caught:
        parse(text, Form, lambda _: [])
    assert problem in caught.value.problems


def test_schemas_are_strict_and_keep_fields_called_title():
    schema = plain_schema(Form)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["title"] == {"type": "string"}
    nested = plain_schema(PlannedForm)
    assert list(nested["properties"]) == ["plan", "script"]  # the plan is written first
    for form in nested["$defs"].values():
        assert set(form["required"]) == set(form["properties"])


def test_an_error_in_the_middle_of_an_answer_is_one_of_the_provider():
    """Anthropic can send an error event after a 200; what has come is paid for."""
    import anthropic
    import httpx2

    answer = Answer(100)
    answer.pieces.append("three words said")
    request = httpx2.Request("POST", "https://api.anthropic.com/v1/messages")
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    with (
        pytest.raises(InterruptedAnswerError, match="overloaded_error; retry later") as caught,
        failures(anthropic, "anthropic", "KEY", lambda: answer.usage),
    ):
        raise anthropic.APIStatusError(
            "busy", response=httpx2.Response(200, request=request), body=body
        )
    assert caught.value.used == Usage(100, 6, estimated=True)


def test_a_model_that_declines_is_paid_and_not_asked_again():
    answer = Answer(100)
    answer.end, answer.prompt_tokens, answer.completion_tokens = "refusal", 90, 5
    with pytest.raises(DeclinedError) as caught:
        answer.check_end("anthropic")
    assert caught.value.used == Usage(90, 5)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [({"retry-after": "2.5"}, 2.5), ({"retry-after": "soon"}, None), ({}, None),
     ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0)],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(header, seconds):
    assert retry_after(header) == seconds

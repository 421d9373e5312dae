"""What is done, and what is booked, when a provider fails: through the vendors' own SDKs."""

from __future__ import annotations

import logging

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from ml.exceptions import GenerationError, ProviderError
from ml.generation.budget import Budget
from ml.generation.llm.interface import prompt_size
from ml.generation.prompting import Prompt

PROMPT = Prompt((("system", "You are brief."), ("user", "Topic: sourdough bread. Why?")))


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hook: str
    tags: list[str]


def ask(chain, prompt: Prompt = PROMPT, check=lambda _: []) -> Form:
    return chain.structured(prompt, Form, check=check, max_tokens=200, seed=3)


def cost(chain, provider: str, *, attempts: slice = slice(None)) -> float:
    mine = [c for c in chain.calls.calls if c.model.startswith(provider)]
    return sum(call.cost_usd for call in mine[attempts])


def test_the_first_answers_and_its_tokens_are_booked(chain):
    made = chain()
    assert ask(made).hook == "Why is everyone talking about sourdough bread?"
    assert made.outcomes == [("openai", "answered")]
    usage = made.calls.calls[0].usage
    assert not usage.estimated
    assert made.booked == pytest.approx(
        (usage.prompt_tokens * 0.1 + usage.completion_tokens * 0.5) / 1e6
    )
    assert made.calls.main_model == "openai/gpt-6-luna"


def test_401_falls_back_at_once_and_costs_nothing(chain, faults):
    faults("401;path=openai")
    made = chain()
    ask(made)
    assert made.outcomes == [("openai", "SourceUnavailableError"), ("anthropic", "answered")]
    assert made.waits == []
    assert made.booked == cost(made, "anthropic") > 0
    assert "check YTEMPIRE_WORLD_KEY" in made.calls.failures[0]


def test_429_waits_as_long_as_it_is_asked_to(chain, faults):
    faults("429;times=2;retry_after=7;path=openai")
    made = chain()
    ask(made)
    assert made.outcomes == [("openai", "RateLimitedError")] * 2 + [("openai", "answered")]
    assert made.waits == [7.0, 7.0]
    assert made.booked == cost(made, "openai", attempts=slice(2, 3))


def test_429_with_a_long_wait_falls_back_instead(chain, faults):
    faults("429;retry_after=3600;path=openai")
    made = chain()
    ask(made)
    assert made.outcomes == [("openai", "RateLimitedError"), ("anthropic", "answered")]
    assert made.waits == []


def test_500_is_tried_again_with_growing_waits_then_falls_back(chain, faults):
    faults("500;path=openai")
    made = chain()
    ask(made)
    assert made.outcomes == [("openai", "ProviderError")] * 3 + [("anthropic", "answered")]
    assert len(made.waits) == 2
    assert all(wait <= 1.0 * 2**n for n, wait in enumerate(made.waits))
    assert cost(made, "openai") == 0


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("fault", ["truncate", "cut"])
def test_a_broken_off_stream_is_booked_by_estimate_and_tried_again(chain, faults, provider, fault):
    faults(f"{fault};times=1;path={provider}")
    made = chain(script_model_provider=provider)
    ask(made)
    assert made.outcomes == [(provider, "InterruptedAnswerError"), (provider, "answered")]
    broken, whole = (call.usage for call in made.calls.calls)
    assert broken.estimated
    assert broken.completion_tokens > 0
    assert broken.prompt_tokens in (whole.prompt_tokens, prompt_size(PROMPT))
    assert made.booked == pytest.approx(cost(made, provider))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_hang_falls_back_without_a_second_wait(chain, faults, provider):
    faults(f"slow;seconds=1;path={provider}")
    other = {"openai": "anthropic", "anthropic": "openai"}[provider]
    made = chain(script_model_provider=provider, script_model_fallbacks=(other,))
    ask(made)
    assert made.outcomes == [(provider, "InterruptedAnswerError"), (other, "answered")]
    assert made.calls.calls[0].seconds < 0.9
    hung = made.calls.calls[0].usage
    assert (hung.prompt_tokens, hung.completion_tokens) == (prompt_size(PROMPT), 0)


def test_json_that_a_model_broke_is_repaired_by_it(chain, faults):
    faults("malformed;times=1;path=openai")
    made = chain()
    # The repair is another chat, so its first answer is broken as well; only then it gives up.
    ask(made)
    assert made.outcomes == [("openai", "answered")] * 2 + [("anthropic", "answered")]
    assert "no complete JSON" in made.calls.failures[0]
    assert made.booked == pytest.approx(cost(made, "openai") + cost(made, "anthropic"))
    assert cost(made, "openai") > 0


def test_a_rule_that_is_broken_is_told_to_the_model(chain):
    made = chain()
    told = []

    def check(form: Form) -> list[str]:
        told.append(form)
        return ["the hook is too dull"] if len(told) == 1 else []

    ask(made, check=check)
    assert made.outcomes == [("openai", "answered")] * 2
    first, second = (call.usage.prompt_tokens for call in made.calls.calls)
    assert second > first + 20  # the answer and what is wrong with it


def test_when_nobody_answers_the_reasons_are_told(chain, faults):
    faults("401")
    with pytest.raises(GenerationError, match=r"openai .*401.*anthropic .*401"):
        ask(chain())
    faults("401;path=openai, 500;path=anthropic")
    with pytest.raises(ProviderError, match="retry later"):
        ask(chain())


def test_a_circuit_opens_and_the_model_is_left_alone(chain, faults):
    faults("500;path=openai")
    made = chain()
    for number in range(5):
        ask(made, Prompt((("user", f"Topic: bread {number}. Why?"),)))
    failed = [outcome for outcome in made.outcomes if outcome[0] == "openai"]
    assert failed.count(("openai", "ProviderError")) == 10
    assert failed[-1] == ("openai", "LeftAloneError")
    assert cost(made, "openai") == 0
    assert made.outcomes.count(("anthropic", "answered")) == 5


def test_a_used_up_budget_refuses_before_the_call(chain):
    most = (prompt_size(PROMPT) * 0.1 + 200 * 0.5) / 1e6
    made = chain(Budget(1.0, {"openai": most * 0.99}))
    ask(made)
    assert made.outcomes == [("anthropic", "answered")]
    assert "YTEMPIRE_LLM_PROVIDER_BUDGETS_USD" in made.calls.failures[0]
    with pytest.raises(GenerationError, match="of the \\$0 a day for all models"):
        ask(chain(Budget(0.0)))


def test_the_cheapest_is_asked_first_if_so_set(chain):
    dear_first = {"script_model_provider": "openai", "script_model_name": "gpt-6-sol"}
    made = chain(**dear_first)
    ask(made)
    assert made.calls.main_model == "openai/gpt-6-sol"
    made = chain(**dear_first, llm_routing="cheapest")
    ask(made)
    assert made.calls.main_model == "anthropic/claude-haiku-5-5"


def test_a_chat_that_is_too_long_goes_to_a_model_that_holds_it(chain, settings):
    url = f"{settings.world_url}/api.openai.com/v1"
    small = {"script_model_provider": "openai_compatible", "script_model_name": "tiny",
             "openai_compatible_url": url, "openai_compatible_context": 300,
             "openai_compatible_api_key": settings.world_key}  # fmt: skip
    made = chain(**small)
    ask(made)
    assert made.calls.main_model == "openai_compatible/tiny"
    assert made.booked == 0
    made = chain(**small)
    ask(made, Prompt((("user", f"Topic: bread. Why? {'word ' * 100}"),)))
    assert made.calls.main_model == "anthropic/claude-haiku-5-5"


def test_no_key_shows_in_errors_records_or_logs(chain, faults, settings, caplog):
    """The world refuses a wrong key; what is said about it holds neither key."""
    secret = "sk-" + "a1b2c3" * 5
    with caplog.at_level(logging.DEBUG):
        made = chain(world_key=SecretStr(secret))
        with pytest.raises(GenerationError) as caught:
            ask(made)
    seen = f"{caught.value!r} {caught.value.__context__!r} {made.calls.report()} {caplog.text}"
    assert secret not in seen
    assert "401" in seen
    assert secret not in repr(made.routes)


def test_a_missing_key_is_named_and_the_next_is_asked(chain, settings):
    made = chain(provider_urls={"api.anthropic.com": f"{settings.world_url}/api.anthropic.com"})
    ask(made)
    assert made.outcomes == [("anthropic", "answered")]
    assert made.calls.failures == ["openai/gpt-6-luna: set OPENAI_API_KEY"]

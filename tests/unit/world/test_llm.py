"""The vendors' own SDKs, unmodified, against the world's language models."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import anthropic
import httpx2
import openai
import pytest

KEY = "wire-key"
FAULTS = "X-World-Faults"
CHAT = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "Topic: sourdough bread. Why do people like it?"},
]
SAID = "People like sourdough bread because it is fun to watch."
SCHEMA = {
    "type": "object",
    "properties": {
        "hook": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["hook", "tags"],
    "additionalProperties": False,
}


@pytest.fixture
def gpt(live_world: Callable[..., str]) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=KEY, base_url=f"{live_world()}/api.openai.com/v1", max_retries=0, timeout=2,
        http_client=httpx2.Client(trust_env=False, timeout=2),
    ) as client:  # fmt: skip
        yield client


@pytest.fixture
def claude(live_world: Callable[..., str]) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key=KEY, base_url=f"{live_world()}/api.anthropic.com", max_retries=0, timeout=2,
        http_client=httpx2.Client(trust_env=False, timeout=2),
    ) as client:  # fmt: skip
        yield client


def ask(client, **more):
    """One chat by either SDK."""
    if isinstance(client, openai.OpenAI):
        return client.chat.completions.create(model="m", messages=CHAT, **more)
    more.setdefault("max_tokens", 200)
    return client.messages.create(model="m", system=CHAT[0]["content"], messages=CHAT[1:], **more)


def test_openai_answers_with_usage_and_streams_the_same(gpt):
    answer = ask(gpt)
    assert answer.choices[0].message.content == SAID
    assert answer.choices[0].finish_reason == "stop"
    chunks = list(ask(gpt, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == SAID
    assert chunks[-1].usage == answer.usage
    assert answer.usage.completion_tokens == -(-len(SAID) // 4)
    short = ask(gpt, max_completion_tokens=3)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 3)


def test_anthropic_answers_with_usage_and_streams_the_same(claude):
    answer = ask(claude)
    assert answer.content[0].text == SAID
    with claude.messages.stream(model="m", max_tokens=200, messages=CHAT[1:]) as stream:
        assert "".join(stream.text_stream) == SAID
        final = stream.get_final_message()
    assert final.stop_reason == answer.stop_reason == "end_turn"
    assert final.usage.output_tokens == answer.usage.output_tokens
    assert ask(claude, max_tokens=3).stop_reason == "max_tokens"


def test_a_schema_is_filled_in(gpt, claude):
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
    said = json.loads(ask(gpt, response_format=wanted).choices[0].message.content)
    assert said == {
        "hook": "Why is everyone talking about sourdough bread?",
        "tags": ["sourdough bread"],
    }
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert json.loads(ask(claude, output_config=form).content[0].text) == said
    broken = ask(gpt, response_format=wanted, extra_headers={FAULTS: "malformed"})
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(broken.choices[0].message.content)


@pytest.mark.parametrize("sdk", ["gpt", "claude"])
@pytest.mark.parametrize(
    ("fault", "name"),
    [("401", "AuthenticationError"), ("429;retry_after=7", "RateLimitError"),
     ("500", "InternalServerError"), ("slow;seconds=1", "APITimeoutError")],
)  # fmt: skip
def test_faults_arrive_as_the_sdks_own_errors(request, sdk, fault, name):
    client = request.getfixturevalue(sdk).with_options(timeout=0.3)
    module = openai if sdk == "gpt" else anthropic
    started = time.monotonic()
    with pytest.raises(getattr(module, name)) as caught:
        ask(client, extra_headers={FAULTS: fault})
    assert time.monotonic() - started < 2
    if fault.startswith("429"):
        assert caught.value.response.headers["Retry-After"] == "7"


@pytest.mark.parametrize("sdk", ["gpt", "claude"])
def test_a_broken_off_stream_has_no_end(request, sdk):
    client = request.getfixturevalue(sdk)
    with pytest.raises((openai.APIConnectionError, httpx2.HTTPError)):
        list(ask(client, stream=True, extra_headers={FAULTS: "truncate"}))
    # Both SDKs drop a piece that does not end: only what is missing tells.
    polite = list(ask(client, stream=True, extra_headers={FAULTS: "cut"}))
    whole = list(ask(client, stream=True))
    assert polite == whole[: len(polite)]
    assert 2 < len(polite) < len(whole) - 2


def test_wrong_keys_and_requests_are_refused(gpt, claude):
    with pytest.raises(openai.AuthenticationError):
        ask(gpt.with_options(api_key="wrong"))
    with pytest.raises(anthropic.AuthenticationError):
        ask(claude.with_options(api_key="wrong"))
    with pytest.raises(anthropic.BadRequestError, match="prefill"):
        claude.messages.create(
            model="m", max_tokens=9, messages=[*CHAT[1:], {"role": "assistant", "content": "I"}]
        )
    with pytest.raises(openai.BadRequestError):
        gpt.chat.completions.create(model="m", messages=[])

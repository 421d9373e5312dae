"""OpenAI's chat completions, and any server that speaks them: vLLM, Ollama, a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml.exceptions import ConfigurationError, SourceUnavailableError
from ml.generation.llm.catalog import Model
from ml.generation.llm.interface import Completion, Schema, prompt_size
from ml.generation.llm.wire import Address, Answer, address, failures, http_client
from ml.generation.prompting import Prompt
from ml.settings import Settings, variable

_URL = "https://api.openai.com/v1"


class OpenAiChat:
    """One model behind a chat completions endpoint.

    Raises:
        ConfigurationError: if a compatible server is to be asked and has no address.
        SourceUnavailableError: if there is no key, or no SDK.
    """

    batch_size = 1

    def __init__(self, model: Model, settings: Settings) -> None:
        try:
            import openai
        except ImportError:
            raise SourceUnavailableError("install the package openai") from None

        self._sdk = openai
        self._model = model
        self._settings = settings
        self._address = _address(model, settings)
        self._who = f"{model.provider} ({self._address.host})"
        self._client = openai.OpenAI(
            api_key=self._address.key,
            base_url=self._address.url,
            max_retries=0,
            http_client=http_client(
                settings.llm_timeout_s, trust_env=not self._address.is_loopback
            ),
        )

    def complete(
        self, prompts: Sequence[Prompt], *, max_tokens: int, seed: int, schema: Schema | None
    ) -> list[Completion]:
        """Answer one prompt; what goes wrong is listed at `Provider.complete`."""
        (prompt,) = prompts
        answer = Answer(prompt_size(prompt))
        with failures(self._sdk, self._who, self._address.variable, lambda: answer.usage):
            request = self._request(prompt, max_tokens, seed, schema)
            with self._client.chat.completions.create(**request) as stream:
                for chunk in stream:
                    _take(chunk, answer)
                    answer.check_time()
        answer.check_end(self._who)
        return [Completion(answer.text, answer.usage)]

    def _request(
        self, prompt: Prompt, max_tokens: int, seed: int, schema: Schema | None
    ) -> dict[str, Any]:
        # Servers of others may know only the older name of the limit.
        own = self._model.provider == "openai"
        request: dict[str, Any] = {
            "model": self._model.model,
            "messages": [{"role": role, "content": text} for role, text in prompt.whole_turns],
            "max_completion_tokens" if own else "max_tokens": max_tokens,
            "seed": seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._model.options,
        }
        if self._model.has_temperature:
            request["temperature"] = self._settings.script_temperature
            request["top_p"] = self._settings.script_top_p
        if schema is not None:
            form = {"name": "answer", "strict": True, "schema": dict(schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        return request


def _address(model: Model, settings: Settings) -> Address:
    if model.provider == "openai":
        return address(settings, _URL, "openai_api_key")
    if not settings.openai_compatible_url:
        raise ConfigurationError(f"set {variable('openai_compatible_url')}")
    return address(settings, settings.openai_compatible_url, "openai_compatible_api_key")


def _take(chunk: Any, answer: Answer) -> None:
    if chunk.usage:
        answer.prompt_tokens = chunk.usage.prompt_tokens
        answer.completion_tokens = chunk.usage.completion_tokens
    for choice in chunk.choices:
        if choice.delta and choice.delta.content:
            answer.pieces.append(choice.delta.content)
        if choice.delta and choice.delta.refusal:
            answer.end = "refusal"
        elif choice.finish_reason:
            answer.end = answer.end or choice.finish_reason

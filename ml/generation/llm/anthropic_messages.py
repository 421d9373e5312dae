"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml.exceptions import SourceUnavailableError
from ml.generation.llm.catalog import Model
from ml.generation.llm.interface import Completion, Schema, prompt_size
from ml.generation.llm.wire import Answer, address, failures, http_client
from ml.generation.prompting import Prompt
from ml.settings import Settings

_URL = "https://api.anthropic.com"


class AnthropicMessages:
    """One model of Anthropic's. It takes no seed: the same prompt may give another answer.

    Raises:
        SourceUnavailableError: if there is no key, or no SDK.
    """

    batch_size = 1

    def __init__(self, model: Model, settings: Settings) -> None:
        try:
            import anthropic
        except ImportError:
            raise SourceUnavailableError("install the package anthropic") from None

        self._sdk = anthropic
        self._model = model
        self._settings = settings
        self._address = address(settings, _URL, "anthropic_api_key")
        self._who = f"anthropic ({self._address.host})"
        self._client = anthropic.Anthropic(
            api_key=self._address.key,
            base_url=self._address.url,
            max_retries=0,
            http_client=http_client(
                settings.llm_timeout_s, trust_env=not self._address.is_loopback
            ),
        )

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        seed: int,  # noqa: ARG002 - the API has none
        schema: Schema | None,
    ) -> list[Completion]:
        """Answer one prompt; what goes wrong is listed at `Provider.complete`."""
        (prompt,) = prompts
        answer = Answer(prompt_size(prompt))
        with failures(self._sdk, self._who, self._address.variable, lambda: answer.usage):
            request = self._request(prompt, max_tokens, schema)
            with self._client.messages.create(**request) as stream:
                for event in stream:
                    _take(event, answer)
                    answer.check_time()
        answer.check_end(self._who)
        return [Completion(answer.text, answer.usage)]

    def _request(self, prompt: Prompt, max_tokens: int, schema: Schema | None) -> dict[str, Any]:
        turns = prompt.whole_turns
        request: dict[str, Any] = {
            "model": self._model.model,
            "system": "\n".join(text for role, text in turns if role == "system"),
            "messages": [{"role": r, "content": text} for r, text in turns if r != "system"],
            "max_tokens": max_tokens,
            "stream": True,
            **self._model.options,
        }
        if schema is not None:
            form = {"type": "json_schema", "schema": dict(schema)}
            request["output_config"] = {**request.get("output_config", {}), "format": form}
        return request


def _take(event: Any, answer: Answer) -> None:
    if event.type == "message_start":
        answer.prompt_tokens = event.message.usage.input_tokens
    elif event.type == "content_block_delta" and event.delta.type == "text_delta":
        answer.pieces.append(event.delta.text)
    elif event.type == "message_delta":
        answer.completion_tokens = event.usage.output_tokens
        answer.end = event.delta.stop_reason

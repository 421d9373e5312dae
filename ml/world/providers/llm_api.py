"""The language models of the world: OpenAI's chat completions and Anthropic's messages.

Chat completions: https://platform.openai.com/docs/api-reference/chat and its streaming part;
errors: https://platform.openai.com/docs/guides/error-codes. Messages:
https://platform.claude.com/docs/en/api/messages and .../build-with-claude/streaming; errors:
https://platform.claude.com/docs/en/api/errors (all read 2026-11). Any model name is known; tools,
images and more than one choice are not. What is said comes from `llm_text`.

Faults beside those of every provider: `malformed` breaks the JSON that a model was asked to write;
`cut` and `truncate` end a stream in the middle, politely and not; `slow` keeps silent before the
first byte, for ever if the client waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from ml.world.answers import Call, World, answer, encode, read_call
from ml.world.clock import moment
from ml.world.providers import tokens
from ml.world.providers.llm_text import reply
from ml.world.providers.llm_text import tokens as count

_DELTA_CHARS = 12
_ANTHROPIC_VERSION = "2023-06-01"


@dataclass(frozen=True)
class _Turn:
    """An answer before it has a format."""

    call: Call
    model: str
    text: str
    prompt_tokens: int
    is_whole: bool

    @property
    def id(self) -> str:
        digest = hashlib.sha1(self.call.address.encode(), usedforsecurity=False).hexdigest()
        return digest[:24]

    @property
    def created(self) -> int:
        return int(moment(self.call.asked / 60.0).timestamp())

    @property
    def completion_tokens(self) -> int:
        return count(self.text)

    @property
    def pieces(self) -> list[str]:
        return [self.text[at : at + _DELTA_CHARS] for at in range(0, len(self.text), _DELTA_CHARS)]


class _RefusalError(Exception):
    """A refusal: status, the provider's type and message."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


def router(world: World) -> APIRouter:
    """The routes of both providers."""
    routes = APIRouter()

    @routes.post("/api.openai.com/v1/chat/completions")
    async def completions(request: Request) -> Response:
        return await _respond(request, world, _openai_turn, _openai_error, _openai_answer)

    @routes.post("/api.anthropic.com/v1/messages")
    async def messages(request: Request) -> Response:
        return await _respond(request, world, _anthropic_turn, _anthropic_error, _anthropic_answer)

    return routes


Body = dict[str, Any]
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error",
          500: "api_error", 503: "overloaded_error"}  # fmt: skip


async def _respond(
    request: Request,
    world: World,
    read: Callable[[Request, Call, Body], _Turn],
    error: Callable[[Call, int, str, str], Body],
    write: Callable[[_Turn, Body], Body | Iterable[bytes]],
) -> Response:
    call = read_call(request, world)
    fault = call.status_fault()
    if fault:
        status, headers = fault
        problem = error(call, status, _KINDS[status], "The fault plan refuses this request.")
        return await answer(call, lambda: encode(problem), status, headers)
    try:
        body = json.loads(request.state.posted)
        turn = read(request, call, body)
    except _RefusalError as refusal:
        told = error(call, refusal.status, refusal.kind, str(refusal))
        return await answer(call, lambda: encode(told), refusal.status)
    except (ValueError, KeyError, TypeError) as problem_found:
        told = error(call, 400, "invalid_request_error", f"bad request: {problem_found}")
        return await answer(call, lambda: encode(told), 400)
    written = write(turn, body)
    if isinstance(written, dict):
        return await answer(call, lambda: encode(written))
    if slow := call.faults.get("slow"):
        await asyncio.sleep(slow.seconds)
    return StreamingResponse(_stream(call, list(written)), media_type="text/event-stream")


async def _stream(call: Call, events: list[bytes]) -> AsyncIterator[bytes]:
    """All events, or the first half of what they say, ended politely (`cut`) or not."""
    content = b"".join(events)
    if not call.faults.keys() & {"cut", "truncate"}:
        for event in events:
            yield event
        return
    yield content[: len(content) // 2]
    if "truncate" in call.faults:
        raise ConnectionAbortedError("the fault plan ends this stream here")


def _say(call: Call, body: Body, messages: list[dict[str, str]], schema: Any, limit: Any) -> _Turn:
    text = reply(messages, schema)
    if "malformed" in call.faults:
        text = f"Sure! Here it is: {text[: len(text) // 2]}"
    whole = limit is None or count(text) <= int(limit)
    asked = sum(count(message["content"]) + 4 for message in messages)
    said = text if whole else text[: 4 * int(limit)]
    return _Turn(call, str(body["model"]), said, asked, whole)


# --- OpenAI -----------------------------------------------------------------------------------


def _openai_turn(request: Request, call: Call, body: Body) -> _Turn:
    given = tokens.bearer(request.headers.get("Authorization"))
    if not tokens.same(given, call.world.api_key):
        raise _RefusalError(401, "invalid_request_error", "Incorrect API key provided.")
    if body.get("n", 1) != 1:
        raise _RefusalError(400, "invalid_request_error", "this world gives one choice only")
    messages = [{"role": str(m["role"]), "content": str(m["content"])} for m in body["messages"]]
    if not messages:
        raise _RefusalError(400, "invalid_request_error", "[] is too short - 'messages'")
    wanted = body.get("response_format") or {}
    schema = wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    return _say(call, body, messages, schema, limit)


def _openai_error(_call: Call, status: int, kind: str, message: str) -> Body:
    codes = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
    shown = "server_error" if status >= 500 else kind
    error = {"message": message, "type": shown, "param": None, "code": codes.get(status)}
    return {"error": error}


def _openai_answer(turn: _Turn, body: Body) -> Body | Iterable[bytes]:
    usage = {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
    }
    shared = {"id": f"chatcmpl-{turn.id}", "created": turn.created, "model": turn.model}
    reason = "stop" if turn.is_whole else "length"
    if not body.get("stream"):
        message = {"role": "assistant", "content": turn.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {**shared, "object": "chat.completion", "choices": [choice], "usage": usage}
    has_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    return _openai_events(turn, {**shared, "object": "chat.completion.chunk"}, usage, has_usage)


def _openai_events(turn: _Turn, shared: Body, usage: Body, has_usage: bool) -> Iterable[bytes]:
    def event(choices: list[Body], **more: Any) -> bytes:
        return b"data: " + encode({**shared, "choices": choices, **more}) + b"\n\n"

    def choice(delta: Body, reason: str | None = None) -> list[Body]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    yield event(choice({"role": "assistant", "content": "", "refusal": None}))
    for piece in turn.pieces:
        yield event(choice({"content": piece}))
    yield event(choice({}, "stop" if turn.is_whole else "length"))
    if has_usage:
        yield event([], usage=usage)
    yield b"data: [DONE]\n\n"


# --- Anthropic --------------------------------------------------------------------------------


def _anthropic_turn(request: Request, call: Call, body: Body) -> _Turn:
    # The key may come in either header; the SDK of version 2 sends the first.
    sent = tokens.bearer(request.headers.get("Authorization")) or request.headers.get("x-api-key")
    if not tokens.same(sent or "", call.world.api_key):
        raise _RefusalError(401, "authentication_error", "invalid x-api-key")
    if not request.headers.get("anthropic-version"):
        hint = f"anthropic-version: header is required, such as {_ANTHROPIC_VERSION}"
        raise _RefusalError(400, "invalid_request_error", hint)
    if "max_tokens" not in body:
        raise _RefusalError(400, "invalid_request_error", "max_tokens: Field required")
    messages = [{"role": str(m["role"]), "content": _plain(m["content"])} for m in body["messages"]]
    if not messages or messages[-1]["role"] != "user":
        raise _RefusalError(
            400, "invalid_request_error",
            "This model does not support assistant message prefill. The conversation must end with"
            " a user message.",
        )  # fmt: skip
    system = body.get("system")
    first = [{"role": "system", "content": _plain(system)}] if system else []
    wanted = (body.get("output_config") or {}).get("format") or {}
    schema = wanted["schema"] if wanted.get("type") == "json_schema" else None
    return _say(call, body, [*first, *messages], schema, body["max_tokens"])


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(block["text"]) for block in content if block["type"] == "text")


def _anthropic_error(call: Call, _status: int, kind: str, message: str) -> Body:
    error = {"type": kind, "message": message}
    digest = hashlib.sha1(call.address.encode(), usedforsecurity=False).hexdigest()
    return {"type": "error", "error": error, "request_id": f"req_{digest[:24]}"}


def _anthropic_answer(turn: _Turn, body: Body) -> Body | Iterable[bytes]:
    reason = "end_turn" if turn.is_whole else "max_tokens"
    usage = {"input_tokens": turn.prompt_tokens, "output_tokens": turn.completion_tokens}
    message: Body = {
        "id": f"msg_{turn.id}", "type": "message", "role": "assistant", "model": turn.model,
        "content": [{"type": "text", "text": turn.text}], "stop_reason": reason,
        "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    return _anthropic_events(turn, message) if body.get("stream") else message


def _anthropic_events(turn: _Turn, message: Body) -> Iterable[bytes]:
    def event(kind: str, **values: Any) -> bytes:
        return f"event: {kind}\ndata: ".encode() + encode({"type": kind, **values}) + b"\n\n"

    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None}
    yield event("message_start", message={**begun, "usage": {**usage, "output_tokens": 1}})
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for piece in turn.pieces:
        delta = {"type": "text_delta", "text": piece}
        yield event("content_block_delta", index=0, delta=delta)
    yield event("content_block_stop", index=0)
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=ended, usage={"output_tokens": usage["output_tokens"]})
    yield event("message_stop")

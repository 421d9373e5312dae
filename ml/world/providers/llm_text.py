"""What the world's language models say: a pure function of the chat, as poor as it needs to be.

It is no model. Asked in plain words, it answers with one sentence about the topic; asked for JSON
by a schema, it fills the schema in: words of the last message for texts, and a question where a
field is called a hook or a question. It follows no order that stands in quoted material.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_TOPIC = re.compile(r"^Topic: (.+?)(?:\. (?:Write|Ask|In|Why)\b.*)?$", re.MULTILINE)
_FACT = re.compile(r"^\[(\d+)\] (.+)$", re.MULTILINE)
_MORE = "Viewers keep coming back to see what happens with {topic} next."


def tokens(text: str) -> int:
    """Tokens of a text by the rule of thumb of four characters each."""
    return -(-len(text) // 4)


def reply(messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None) -> str:
    """The answer to a chat.

    Args:
        messages: turns with `role` and `content`, in order.
        schema: JSON schema that the answer has to satisfy; plain words without one.
    """
    asked = next((m["content"] for m in reversed(messages) if _TOPIC.search(m["content"])), "")
    found = _TOPIC.search(asked)
    topic = found[1] if found else "this"
    facts = {int(number): text for number, text in _FACT.findall(asked)}
    if schema is None:
        return f"People like {topic} because it is fun to watch."
    filled = _Filler(schema, topic, facts).fill(schema, "")
    return json.dumps(filled, ensure_ascii=False)


class _Filler:
    """Fills a schema; each fact is told once."""

    def __init__(self, schema: Mapping[str, Any], topic: str, facts: dict[int, str]) -> None:
        self._definitions = schema.get("$defs", {})
        self._topic = topic
        self._facts = facts
        self._untold = iter(facts.items())
        self._telling: tuple[int, str] | None = None

    def fill(self, schema: Mapping[str, Any], name: str) -> Any:
        if "$ref" in schema:
            return self.fill(self._definitions[schema["$ref"].rpartition("/")[2]], name)
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "string")
        if kind == "object":
            return {key: self.fill(part, key) for key, part in schema["properties"].items()}
        if kind == "array":
            return list(self._items(schema["items"], name))
        if kind in ("integer", "number"):
            return self._telling[0] if self._telling else 0
        return kind == "boolean" or self._text(name)

    def _items(self, items: Mapping[str, Any], name: str) -> Iterator[Any]:
        if "$ref" not in items and items.get("type") != "object":
            if items.get("type") == "string":
                yield self._topic if name != "titles" else f"{self._topic}: what the data say"
            elif self._telling:
                yield self.fill(items, name)
            return
        for fact in self._untold:
            self._telling = fact
            yield self.fill(items, name)
        self._telling = None
        yield self.fill(items, name)

    def _text(self, name: str) -> str:
        if name in ("hook", "question"):
            return f"Why is everyone talking about {self._topic}?"
        if name == "text":
            return self._telling[1] if self._telling else _MORE.format(topic=self._topic)
        return f"Follow along for more about {self._topic}."

"""Answers as data: the schema a provider is given, and what an answer breaks of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Form = TypeVar("Form", bound=BaseModel)

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_MAX_PROBLEMS = 8


class InvalidAnswerError(Exception):
    """An answer that is not what was asked for; `problems` are for the model that gave it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems[:_MAX_PROBLEMS]


def plain_schema(form: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a form as both providers take it: no titles or other decoration.

    Strict modes want every field required and no others allowed; forms must be made so.
    """
    schema: dict[str, Any] = _bare(form.model_json_schema())
    return schema


def _bare(node: Any) -> Any:
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if not _is_decoration(name, value)}
    return {name: _bare(value) for name, value in kept.items()}


def _is_decoration(name: str, value: Any) -> bool:
    # A property may be called `title` or `description` too; then its value is a schema.
    return name in ("title", "description") and isinstance(value, str)


def parse(text: str, form: type[Form], check: Callable[[Form], list[str]]) -> Form:
    """Read an answer.

    Text around the object and a code fence are taken away; nothing else is mended here, because a
    guess at what a model meant would be nobody's words.

    Raises:
        InvalidAnswerError: saying what is wrong, one problem an entry.
    """
    try:
        answer = form.model_validate(_object(text))
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in item['loc']) or 'the object'}: {item['msg']}"
            for item in error.errors()
        ]
        raise InvalidAnswerError(problems) from None
    if problems := check(answer):
        raise InvalidAnswerError(problems)
    return answer


def _object(text: str) -> Any:
    fenced = _FENCE.search(text)
    bare = fenced[1] if fenced else text
    start, end = bare.find("{"), bare.rfind("}")
    try:
        return json.loads(bare[start : end + 1])
    except (ValueError, RecursionError):
        raise InvalidAnswerError(["it is no complete JSON object"]) from None

"""X's query language, as far as the world's posts have what it asks for.

https://docs.x.com/x-api/posts/search/integrate/build-a-query and
https://docs.x.com/x-api/posts/filtered-stream/integrate/build-a-rule (read 2026-11): words, phrases
and hashtags, a space for AND, OR (which binds less), parentheses, and a dash for NOT; `lang:`,
`is:` and `has:` need a standalone operator beside them. Words match whole tokens of the text,
whatever their case. Groups are not negated, and nothing but negations is no query.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(r'\s*(\(|\)|-?"[^"]*"|-?[^\s()"]+)')
_WORD = re.compile(r"\w+")
_OPERATOR = re.compile(r"([a-z_]+):(.+)")


class QueryError(ValueError):
    """A query that X refuses; the message is X's."""


@dataclass(frozen=True)
class Text:
    """A post as queries see it."""

    words: tuple[str, ...]
    hashtags: frozenset[str]
    has_links: bool
    is_repost: bool
    lang: str = "en"


def read_text(text: str, *, is_repost: bool) -> Text:
    """Take a post apart."""
    low = text.lower()
    return Text(
        words=tuple(_WORD.findall(low)),
        hashtags=frozenset(re.findall(r"#(\w+)", low)),
        has_links="https://" in low,
        is_repost=is_repost,
    )


Match = Callable[[Text], bool]


@dataclass(frozen=True)
class _Part:
    """A part of a query; `stands` says whether it may be one by itself."""

    match: Match
    stands: bool


def parse(query: str) -> Match:
    """Read a query.

    Raises:
        QueryError: if X would refuse it.
    """
    reader = _Reader(_TOKEN.findall(query), query)
    found = reader.either()
    if reader.left():
        raise QueryError(f"no viable alternative at input '{reader.peek()}'")
    if not found.stands:
        raise QueryError(
            "Rules must contain at least one positive, non-stopword clause, and operators that "
            "need a conjunction must stand beside another one"
        )
    return found.match


class _Reader:
    """A recursive-descent reader of tokens."""

    def __init__(self, tokens: list[str], query: str) -> None:
        if query.count('"') % 2:
            raise QueryError("missing closing quote")
        self._tokens = tokens
        self._at = 0

    def left(self) -> bool:
        return self._at < len(self._tokens)

    def peek(self) -> str:
        return self._tokens[self._at] if self.left() else ""

    def _take(self) -> str:
        token = self.peek()
        if not token:
            raise QueryError("mismatched input '<EOF>'")
        self._at += 1
        return token

    def either(self) -> _Part:
        parts = [self._all()]
        while self.peek() == "OR":
            self._take()
            parts.append(self._all())
        matches = [part.match for part in parts]
        # Each side of an OR has to stand by itself.
        stands = all(part.stands for part in parts)
        return _Part(lambda text: any(match(text) for match in matches), stands)

    def _all(self) -> _Part:
        parts = [self._one()]
        while self.left() and self.peek() not in ("OR", ")"):
            parts.append(self._one())
        matches = [part.match for part in parts]
        stands = any(part.stands for part in parts)
        return _Part(lambda text: all(match(text) for match in matches), stands)

    def _one(self) -> _Part:
        piece = self._take()
        if piece == "(":
            found = self.either()
            if self._take() != ")":
                raise QueryError("missing ')'")
            return found
        if piece in (")", "OR", "-"):
            raise QueryError(f"no viable alternative at input '{piece}'")
        if piece.startswith("-"):
            match = _atom(piece[1:]).match
            return _Part(lambda text: not match(text), stands=False)
        return _atom(piece)


def _atom(token: str) -> _Part:
    if token.startswith('"'):
        return _phrase(token.strip('"'))
    if token.startswith("#"):
        tag = token[1:].lower()
        return _Part(lambda text: tag in text.hashtags, stands=True)
    if operator := _OPERATOR.fullmatch(token):
        return _Part(_operator(operator[1], operator[2].lower()), stands=False)
    return _phrase(token)


def _phrase(phrase: str) -> _Part:
    wanted = " ".join(_WORD.findall(phrase.lower()))
    if not wanted:
        raise QueryError(f"no viable alternative at input '{phrase}'")
    return _Part(lambda text: f" {wanted} " in f" {' '.join(text.words)} ", stands=True)


def _operator(name: str, value: str) -> Match:
    known: dict[tuple[str, str], Match] = {
        ("is", "retweet"): lambda text: text.is_repost,
        ("is", "reply"): lambda _: False,
        ("is", "quote"): lambda _: False,
        ("has", "links"): lambda text: text.has_links,
        ("has", "hashtags"): lambda text: bool(text.hashtags),
        ("has", "images"): lambda _: False,
        ("has", "media"): lambda _: False,
    }
    if name == "lang":
        return lambda text: text.lang == value
    if (name, value) not in known:
        raise QueryError(
            f"Reference to invalid operator '{name}:{value}'. Operator is not available in "
            "current product or product packaging."
        )
    return known[name, value]

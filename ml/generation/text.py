"""Text from outside, made safe: for prompts, for the voice, for drawing; and what it claims."""

from __future__ import annotations

import html
import re
import unicodedata

# Chat and instruction markup of the common model families, and what sets off a code block.
_MARKUP = re.compile(
    r"<\|.*?\|>|</?s>|\[/?(?:INST|SYS)\]|<</?SYS>>|<[^<>]{1,200}>|`+|^\s*#{2,}\s*"
    r"|(?:system|assistant|user|prefix)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_URL = re.compile(r"https?://\S+|www\.\S+")
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instruction|prompt|rule|above|previous)"
    r"|\bsystem prompt\b|\byou are now\b|\bact as\b.{0,20}\b(?:ai|assistant|model)\b",
    re.IGNORECASE,
)
_PUNCTUATION = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
        "\uff5c": "|",
    }
)
_LATIN_LIMIT = 0x250
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_LONG_NUMBER = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,]|\.\d)")
_NUMBER_WORDS = frozenset(
    [
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "thousand",
        "million",
        "billion",
        "trillion",
        "dozen",
    ]
)
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "could",
        "do",
        "does",
        "for",
        "from",
        "has",
        "have",
        "how",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "like",
        "many",
        "more",
        "most",
        "much",
        "no",
        "not",
        "now",
        "of",
        "on",
        "one",
        "or",
        "our",
        "out",
        "over",
        "so",
        "some",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "up",
        "us",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)


def clean(text: str, limit: int = 400) -> str:
    """Return one line of plain text: no markup, control characters, addresses or hashtags signs.

    Text of a source is data. Whatever could open a new turn in a chat prompt, or a new line in a
    structured one, is taken out here, once.
    """
    previous = None
    while previous != text:  # taking something out may form new markup out of what was around it
        previous, text = text, _cleaned_once(text)
    return text[:limit].strip()


def _cleaned_once(text: str) -> str:
    text = unicodedata.normalize("NFKC", html.unescape(text)).translate(_PUNCTUATION)
    text = "".join(
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Zs") else c
        for c in text
        if unicodedata.category(c) not in ("Cf", "Co", "Cs", "Cn")
    )
    text = _MARKUP.sub(" ", _URL.sub(" ", text))
    return " ".join("".join(" " if c in "#*<>{}[]\\^~`" else c for c in text).split())


def is_injection(text: str) -> bool:
    """Whether a text reads as an order to a model instead of as a fact (a rule of patterns)."""
    return bool(_INJECTION.search(text))


def latin(text: str) -> str:
    """Return `text` with only what the bundled fonts draw and the English voice speaks.

    Letters of other scripts, emoji and symbols are dropped, not guessed at.
    """
    kept = "".join(
        c if ord(c) < _LATIN_LIMIT and (c.isprintable() or c == " ") else " "
        for c in unicodedata.normalize("NFC", text)
    )
    kept = re.sub(r"\(\s*\)|\"\s*\"|'\s+'", " ", kept)
    kept = re.sub(r"\s+([,.;:!?]|\"(?=\s|$))", r"\1", " ".join(kept.split()))
    return kept.strip(" -|,")


def words(text: str) -> list[str]:
    """All words, lower case and without accents, so that Pokémon matches Pokemon."""
    plain = unicodedata.normalize("NFKD", text.lower())
    return _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))


def content_words(text: str) -> set[str]:
    """Words that carry meaning, cut to a rough stem (plural and possessive endings off)."""
    return {stem(word) for word in words(text) if word not in _STOP and len(word) > 2}


def stem(word: str) -> str:
    """A rough stem: enough to match `trailers` with `trailer`."""
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word


def numbers(text: str) -> set[str]:
    """Every number claimed in a text: digits in a canonical form, and number words."""
    digits = {_canonical(match) for match in _NUMBER.findall(text)}
    return digits | (_NUMBER_WORDS & set(re.findall(r"[a-z]+", text.lower())))


def _canonical(number: str) -> str:
    plain = number.replace(",", "")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain.lstrip("0") or "0"


def names(text: str) -> set[str]:
    """Capitalised words after the first one, lower case and stemmed: what may be a name."""
    found = re.findall(r"(?<![.!?\"]\s)(?<=\s)\"?([A-ZÀ-Þ][^\W\d_]+(?:'[a-z]+)?)", text)
    return {stem(word) for item in found for word in words(item)}


def sentence(text: str, max_words: int = 30) -> str:
    """Shape a text into one sentence: at most `max_words` words, a capital first, a stop last."""
    parts = text.split()
    short = " ".join(parts[:max_words]).rstrip(" ,;:-")
    if len(parts) > max_words:  # better to end a clause early than in the middle
        cut = max(short.rfind(mark) for mark in (", ", "; ", " and ", " - "))
        short = (short[:cut] if cut > len(short) / 2 else short).rstrip(" ,;:-")
    if not short:
        return ""
    end = "" if short.endswith((".", "!", "?", '."', '!"', '?"')) else "."
    return short[0].upper() + short[1:] + end


def count(value: float) -> str:
    """A number as a person says it, to three digits: 1.2 million, 505 thousand, 842."""
    for size, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if abs(value) >= size * 0.9995:
            return f"{_three_digits(value / size)} {name}"
    return _three_digits(value)


def say_numbers(text: str) -> str:
    """Long numbers as a person says them: `504,733` becomes `505 thousand`."""
    return _LONG_NUMBER.sub(lambda match: count(float(match[0].replace(",", ""))), text)


def _three_digits(value: float) -> str:
    rounded = f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}"
    return rounded.removesuffix(".0")

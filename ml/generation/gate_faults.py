"""The labelled scripts: good ones from a file, and faulty ones made from them, each with its fault.

A faulty script differs from a good one by one fault only, so that a check that finds it has found
the fault and not another author. Everything is seeded by the script's own id.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

Part = Literal["reference", "held_out"]

FOLDER = Path(__file__).with_name("labelled")
_LEAKS = (
    "Sure, here is the script that you asked for.",
    "As an AI language model, I cannot have an opinion.",
    "Insert the name of the {topic} here.",
    "[Scene 2: cut to the next slide]",
    "Write one short, natural sentence.",
)


@dataclass(frozen=True)
class Labelled:
    """A script with what it was to be about, and what is wrong with it.

    Attributes:
        sentences: as spoken, in order.
        facts: the source texts that it may draw on.
        fault: None when it is good.
    """

    id: str
    part: Part
    niche: str
    topic: str
    facts: tuple[str, ...]
    sentences: tuple[str, ...]
    fault: str | None = None


@lru_cache(maxsize=1)
def good() -> tuple[Labelled, ...]:
    """The good scripts of both parts."""
    entries: list[dict[str, Any]] = yaml.safe_load(
        (FOLDER / "scripts.yaml").read_text(encoding="utf-8")
    )
    return tuple(
        Labelled(
            entry["id"], entry["split"], entry["niche"], entry["topic"],
            tuple(entry["facts"]), tuple(entry["script"]),
        )
        for entry in entries
    )  # fmt: skip


def faulty(part: Part, fault: str) -> list[Labelled]:
    """The scripts of a part, each with that fault."""
    scripts = [script for script in good() if script.part == part]
    return [FAULTS[fault](script, scripts) for script in scripts]


def labelled(part: Part) -> list[Labelled]:
    """Good scripts of a part, and each of them with every fault."""
    return [s for s in good() if s.part == part] + [s for f in FAULTS for s in faulty(part, f)]


def _rng(script: Labelled, fault: str) -> random.Random:
    return random.Random(f"{fault}/{script.id}")  # noqa: S311 - variety, not security


def _shuffled(script: Labelled, _: Sequence[Labelled]) -> Labelled:
    order = list(script.sentences)
    _rng(script, "shuffled").shuffle(order)
    return replace(script, sentences=tuple(order), fault="shuffled")


def _truncated(script: Labelled, _: Sequence[Labelled]) -> Labelled:
    words = " ".join(script.sentences).split()
    kept = " ".join(words[: round(len(words) * _rng(script, "truncated").uniform(0.45, 0.9))])
    return replace(script, sentences=split(kept), fault="truncated")


def _off_topic(script: Labelled, others: Sequence[Labelled]) -> Labelled:
    other = _other(script, others, "off_topic")
    return replace(script, sentences=other.sentences, fault="off_topic")


def _drifting(script: Labelled, others: Sequence[Labelled]) -> Labelled:
    """Half way it goes on about something else."""
    other = _other(script, others, "drifting")
    half = len(script.sentences) // 2
    own = script.sentences[:half] + other.sentences[half:-1] + script.sentences[-1:]
    return replace(script, sentences=own, fault="drifting")


def _other(script: Labelled, others: Sequence[Labelled], fault: str) -> Labelled:
    return _rng(script, fault).choice([o for o in others if o.niche != script.niche])


def _misspelt(script: Labelled, _: Sequence[Labelled]) -> Labelled:
    rng = _rng(script, "misspelt")
    spoilt = tuple(
        " ".join(
            _swap(w, rng) if len(w) > 3 and rng.random() < 0.25 else w for w in sentence.split()
        )
        for sentence in script.sentences
    )
    return replace(script, sentences=spoilt, fault="misspelt")


def _swap(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _jumbled(script: Labelled, _: Sequence[Labelled]) -> Labelled:
    """Every third sentence has its words in no order."""
    rng = _rng(script, "jumbled")
    spoilt = list(script.sentences)
    for number in range(1, len(spoilt) - 1, 3):
        words = spoilt[number].rstrip(".?!").split()
        rng.shuffle(words)
        spoilt[number] = " ".join(words).capitalize() + "."
    return replace(script, sentences=tuple(spoilt), fault="jumbled")


def _repetitive(script: Labelled, _: Sequence[Labelled]) -> Labelled:
    """Two of its sentences stand in the place of two others, again."""
    rng = _rng(script, "repetitive")
    spoilt = list(script.sentences)
    first, second, third, fourth = rng.sample(range(1, len(spoilt) - 1), 4)
    spoilt[first], spoilt[third] = spoilt[second], spoilt[fourth]
    return replace(script, sentences=tuple(spoilt), fault="repetitive")


def _copied(script: Labelled, _: Sequence[Labelled]) -> Labelled:
    """Between hook and call to action it reads its sources out."""
    body = [script.sentences[0], *script.facts, *script.sentences[-2:]]
    return replace(script, sentences=tuple(body), fault="copied")


def _wrong_number(script: Labelled, _: Sequence[Labelled]) -> Labelled:
    rng = _rng(script, "wrong_number")
    text = re.sub(
        r"\d+(?:\.\d+)?", lambda found: str(int(float(found[0])) + rng.randrange(2, 9)),
        "\n".join(script.sentences), count=1,
    )  # fmt: skip
    return replace(script, sentences=tuple(text.split("\n")), fault="wrong_number")


def _leaked(script: Labelled, _: Sequence[Labelled]) -> Labelled:
    """A piece of the prompt, or of what a model says around its answer."""
    rng = _rng(script, "leaked")
    at = rng.randrange(1, len(script.sentences) - 1)
    own = (*script.sentences[:at], rng.choice(_LEAKS), *script.sentences[at:])
    return replace(script, sentences=own, fault="leaked")


FAULTS: dict[str, Callable[[Labelled, Sequence[Labelled]], Labelled]] = {
    "shuffled": _shuffled,
    "truncated": _truncated,
    "off_topic": _off_topic,
    "drifting": _drifting,
    "misspelt": _misspelt,
    "jumbled": _jumbled,
    "repetitive": _repetitive,
    "copied": _copied,
    "wrong_number": _wrong_number,
    "leaked": _leaked,
}

_END = re.compile(r"(?<=[.!?])[\"']?\s+(?=[\"'A-Z0-9])")


def split(text: str) -> tuple[str, ...]:
    """Sentences of a text."""
    return tuple(part.strip() for part in _END.split(text.strip()) if part.strip())

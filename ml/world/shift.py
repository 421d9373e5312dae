"""A lasting change of behaviour: from a day on, other videos are made, and they live otherwise.

It is the covariate shift that drift monitoring exists for: what the counts mean stays as it was
(for the other thing see the fault `break` in `ml.world.faults`). A shift is written like a fault:
`at=2026-02-01;niches=cooking+education;views=4;growth=1.5`.

* `at` (ISO date, UTC): videos published from that day on are others; older ones stay as they are;
* `niches` (names of `vocabulary.yaml`): what most of them are about;
* `views`: factor on the views of the first 24 hours;
* `growth`: factor on the exponent by which views go on growing, so on how long videos live.

Like the scale, the shift travels inside the integer that says which world it is: caches keep the
world before and after apart, and random numbers look at the seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from ml.world import noise
from ml.world.parameters import WORLD_START
from ml.world.scale import FIRST_FREE_BIT
from ml.world.vocabulary import vocabulary

_FIELD = 1 << 16
_STEPS = 100  # to the unit of a factor
_BIGGEST = (_FIELD - 1) / _STEPS


@dataclass(frozen=True)
class Shift:
    """What changes, and when.

    Attributes:
        day: the first with other videos, in days since the world's start.
        niches: indices of those that are favoured; none leaves the mix as it is.
        views: factor on the views of the first 24 hours.
        growth: factor on the exponent of growth.
    """

    day: int
    niches: frozenset[int] = frozenset()
    views: float = 1.0
    growth: float = 1.0


def parse_shift(text: str) -> Shift | None:
    """Read a shift; None for an empty text.

    Raises:
        ValueError: naming what is not understood.
    """
    if not text.strip():
        return None
    given = dict(_option(part) for part in text.split(";") if part.strip())
    if "at" not in given:
        raise ValueError("a shift needs the day from which on it is: at=2026-02-01")
    at = datetime.fromisoformat(given.pop("at"))
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - WORLD_START
    if since % timedelta(days=1) or not 0 <= since.days < _FIELD:
        raise ValueError(f"a shift begins with a day from {WORLD_START:%Y-%m-%d} on, not at {at}")
    niches = frozenset(_niche(name) for name in given.pop("niches", "").split("+") if name)
    return Shift(
        since.days, niches, **{name: _factor(name, value) for name, value in given.items()}
    )


def _option(text: str) -> tuple[str, str]:
    name, _, value = (piece.strip() for piece in text.partition("="))
    if name not in ("at", "niches", "views", "growth"):
        raise ValueError(f"unknown option {name!r} of a shift; known: at, niches, views, growth")
    return name, value


def _niche(name: str) -> int:
    names = [niche.name for niche in vocabulary().niches]
    if name not in names:
        raise ValueError(f"unknown niche {name!r}; known: {', '.join(names)}")
    return names.index(name)


def _factor(name: str, text: str) -> float:
    value = float(text)
    if not 1 / _STEPS <= value <= _BIGGEST:
        raise ValueError(f"{name} must be from {1 / _STEPS} to {_BIGGEST}, not {text}")
    return round(value * _STEPS) / _STEPS


def shifted(world: int, shift: Shift | None) -> int:
    """The same world with another shift, or without one."""
    plain = world % FIRST_FREE_BIT
    if shift is None:
        return plain
    niches = sum(1 << index for index in shift.niches)
    code = 0
    for value in (niches, round(shift.growth * _STEPS), round(shift.views * _STEPS), shift.day):
        code = code * _FIELD + value
    return plain + code * FIRST_FREE_BIT


@lru_cache(maxsize=64)
def shift_of(world: int) -> Shift | None:
    """The shift of a world, if it has one."""
    code = world // FIRST_FREE_BIT
    if not code:
        return None
    code, day = divmod(code, _FIELD)
    code, views = divmod(code, _FIELD)
    niches, growth = divmod(code, _FIELD)
    favoured = frozenset(index for index in range(niches.bit_length()) if niches >> index & 1)
    return Shift(day, favoured, views / _STEPS, growth / _STEPS)


def shift_on(world: int, day: int) -> Shift | None:
    """The shift that holds for what is published on a day, if one does."""
    shift = shift_of(world)
    return shift if shift is not None and day >= shift.day else None


def interest(shift: Shift | None, niche: noise.Ints, gain: float) -> noise.Floats:
    """How much more than usual is made of topics of these niches.

    Args:
        shift: that holds, if one does.
        niche: of each topic.
        gain: of the favoured ones.
    """
    if shift is None or not shift.niches:
        return np.ones(len(niche))
    return np.where(np.isin(niche, list(shift.niches)), gain, 1.0)

"""How much happens in a world: a factor on everything that has no fixed length.

The factor travels inside the seed: the integer that every function of the simulation takes says
which world it is *and* how big, so caches keep worlds of different sizes apart. Random numbers look
at the seed alone. Charts and front pages keep their length and stay as they were fitted: what a
bigger world has more of is what never gets there.
"""

from __future__ import annotations

_SEEDS = 1 << 40
_STEPS = 1000  # to the unit
SMALLEST, BIGGEST = 0.05, 200.0
_SCALES = 1 << 20
# What lies above says what else is different in a world (see `ml.world.shift`).
FIRST_FREE_BIT = _SEEDS * _SCALES


def sized(seed: int, scale: float) -> int:
    """The world of a seed at a scale; the seed itself at scale 1.

    Raises:
        ValueError: if either is out of range.
    """
    if not 0 <= seed < _SEEDS:
        raise ValueError(f"the world's seed must be from 0 to {_SEEDS - 1}, not {seed}")
    if not SMALLEST <= scale <= BIGGEST:
        raise ValueError(f"the world's scale must be from {SMALLEST} to {BIGGEST}, not {scale}")
    steps = round(scale * _STEPS)
    return seed if steps == _STEPS else steps * _SEEDS + seed


def seed_of(world: int) -> int:
    """The seed of a world, whatever its size."""
    return world % _SEEDS


def scale_of(world: int) -> float:
    """How big a world is; 1 is the size that was fitted to the archives."""
    return world // _SEEDS % _SCALES / _STEPS or 1.0


def per_day(world: int, count: int) -> int:
    """How many there are a day of what there are `count` of at scale 1."""
    return max(1, round(count * scale_of(world)))

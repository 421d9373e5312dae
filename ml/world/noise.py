"""Random numbers by address instead of by sequence.

A draw is a hash of (seed, stream name, entity id), so any entity can be made without making those
before it, and a new stream changes no existing one. The mixer is the finaliser of SplitMix64
(Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ml.world.scale import seed_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_FIRST_INVERSE = pow(_FIRST, -1, 1 << 64)
_SECOND_INVERSE = pow(_SECOND, -1, 1 << 64)


@lru_cache(maxsize=4096)
def stream_key(seed: int, stream: str) -> int:
    """64-bit key of a stream; that of a world is the same at every scale."""
    text = f"{seed_of(seed)}:{stream}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def mix(value: int) -> int:
    """Scramble a 64-bit integer, one to one."""
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def unmix(value: int) -> int:
    """Inverse of `mix`."""
    value = ((value ^ (value >> 31) ^ (value >> 62)) * _SECOND_INVERSE) & _MASK
    value = ((value ^ (value >> 27) ^ (value >> 54)) * _FIRST_INVERSE) & _MASK
    return value ^ (value >> 30) ^ (value >> 60)


def bits(seed: int, stream: str, ids: Ints) -> npt.NDArray[np.uint64]:
    """One 64-bit hash for each id."""
    key = np.uint64(stream_key(seed, stream))
    with np.errstate(over="ignore"):
        value = ids.astype(np.uint64) * np.uint64(_GAMMA) + key
        value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
    return value ^ (value >> np.uint64(31))


def uniform(seed: int, stream: str, ids: Ints) -> Floats:
    """Uniform draws in the open interval (0, 1)."""
    return ((bits(seed, stream, ids) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(seed: int, stream: str, ids: Ints) -> Floats:
    """Standard normal draws (Box-Muller)."""
    radius = np.sqrt(-2.0 * np.log(uniform(seed, stream + ":radius", ids)))
    angle: Floats = 2.0 * np.pi * uniform(seed, stream + ":angle", ids)
    return np.asarray(radius * np.cos(angle), dtype=np.float64)


def lognormal(seed: int, stream: str, ids: Ints, median: float, sigma: float) -> Floats:
    """Log-normal draws with that median and standard deviation of the logarithm."""
    return np.asarray(median * np.exp(sigma * normal(seed, stream, ids)), dtype=np.float64)


def choice(seed: int, stream: str, ids: Ints, weights: Floats) -> Ints:
    """Draw an index into `weights` for each id, with those (unnormalised) weights."""
    edges = np.cumsum(weights)
    picked = np.searchsorted(edges, uniform(seed, stream, ids) * edges[-1], side="right")
    return np.asarray(np.minimum(picked, len(weights) - 1), dtype=np.int64)


def pick(seed: int, stream: str, entity: int, count: int) -> int:
    """One uniform index below `count` for one entity."""
    return mix((entity * _GAMMA + stream_key(seed, stream)) & _MASK) % count

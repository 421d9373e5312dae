"""Channels: a fixed set, with a niche, a home region and log-normal subscriber counts."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ml.world import noise
from ml.world import parameters as p
from ml.world.vocabulary import vocabulary

_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Channels:
    """Channels as columns; `subscribers` is the count at the world's start."""

    niche: noise.Ints
    region: noise.Ints
    subscribers: noise.Floats
    daily_growth: noise.Floats
    by_niche: tuple[noise.Ints, ...]


@lru_cache(maxsize=4)
def channels(seed: int) -> Channels:
    """All channels of a world."""
    ids = np.arange(p.CHANNELS, dtype=np.int64)
    niches = vocabulary().niches
    niche = noise.choice(seed, "channel:niche", ids, np.array([n.weight for n in niches]))
    shares = np.array([row[0] for row in p.REGIONS.values()])
    return Channels(
        niche=niche,
        region=noise.choice(seed, "channel:region", ids, shares),
        subscribers=noise.lognormal(seed, "channel:subscribers", ids, *p.SUBSCRIBERS),
        daily_growth=noise.lognormal(seed, "channel:growth", ids, *p.SUBSCRIBER_GROWTH_PER_DAY),
        by_niche=tuple(np.flatnonzero(niche == index) for index in range(len(niches))),
    )


def channel_id(seed: int, index: int) -> str:
    """24 characters, as YouTube's: `UC` and 22 of base64url."""
    first = noise.mix(index ^ noise.stream_key(seed, "channel:id"))
    second = noise.mix(index ^ noise.stream_key(seed, "channel:id:check"))
    return "UC" + base64.urlsafe_b64encode(((first << 64) | second).to_bytes(16)).decode()[:22]


def channel_index(seed: int, identifier: str) -> int | None:
    """The channel with that id, or None."""
    if len(identifier) != 24 or not identifier.startswith("UC"):
        return None
    try:
        raw = base64.urlsafe_b64decode(identifier[2:] + "==")
    except ValueError:
        return None
    index = noise.unmix(int.from_bytes(raw[:8])) ^ noise.stream_key(seed, "channel:id")
    if index >= p.CHANNELS or channel_id(seed, index) != identifier:
        return None
    return index


def channel_title(seed: int, index: int) -> str:
    """The name of a channel."""
    niche = vocabulary().niches[int(channels(seed).niche[index])]
    name = niche.names[noise.pick(seed, "channel:name", index, len(niche.names))]
    return f"{name} {1 + index % 400}"


def subscribers_at(seed: int, index: int, hours: float) -> int:
    """Subscribers, rounded down to three significant figures as the API does."""
    table = channels(seed)
    count = table.subscribers[index] * np.exp(table.daily_growth[index] * hours / p.HOURS_PER_DAY)
    whole = max(int(count), 0)
    unit: int = 10 ** max(len(str(whole)) - 3, 0)
    return whole // unit * unit

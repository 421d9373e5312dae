"""Faults on demand, the same for the same seed and the same sequence of requests.

A plan is a comma-separated list of faults with `;key=value` options, for example
`429;times=2, malformed;rows=3, slow;p=0.1;seconds=2`:

* `429` (option `retry_after`, seconds), `500`, `503`: that status instead of the answer;
* `quota`: Google's 403 quotaExceeded (YouTube only);
* `slow`: the answer after `seconds`; `truncate`: the connection ends in the middle of the body;
* `cut`: a complete answer whose JSON stops in the middle;
* `malformed`, `duplicate`: `rows` broken or repeated items in a list.

`times=n` lets the fault hit only the first n requests of each address and world time, `p` a share
of the requests, `path` only addresses that contain the text.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from ml.world import noise

FAULTS_HEADER = "X-World-Faults"
Kind = Literal["429", "500", "503", "quota", "slow", "truncate", "cut", "malformed", "duplicate"]
_REMEMBERED = 50_000


@dataclass(frozen=True)
class Fault:
    """One kind of fault and when it strikes."""

    kind: Kind
    p: float = 1.0
    times: int | None = None
    path: str = ""
    rows: int = 1
    seconds: float = 1.0
    retry_after: float = 1.0


def parse_plan(text: str) -> tuple[Fault, ...]:
    """Read a plan.

    Raises:
        ValueError: naming the part that is not understood.
    """
    return tuple(_parse_fault(part) for part in text.split(",") if part.strip())


def _parse_fault(text: str) -> Fault:
    kind, *options = (piece.strip() for piece in text.split(";"))
    if kind not in get_args(Kind):
        raise ValueError(f"unknown fault {kind!r}; known: {', '.join(get_args(Kind))}")
    convert: dict[str, Any] = {
        "p": float, "times": int, "path": str, "rows": int, "seconds": float, "retry_after": float,
    }  # fmt: skip
    values: dict[str, Any] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in convert:
            raise ValueError(f"unknown option {name!r} of fault {kind}")
        values[name] = convert[name](value)
    return Fault(cast("Kind", kind), **values)


@dataclass
class FaultPlan:
    """The faults of a server, with its count of requests by address."""

    seed: int
    faults: tuple[Fault, ...] = ()
    _seen: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def strike(self, address: str, override: str | None = None) -> dict[Kind, Fault]:
        """The faults that hit this request.

        Args:
            address: path, query and world time of the request, without secrets.
            override: the plan in the request's own header, if it has one.

        Raises:
            ValueError: if that plan is not understood.
        """
        faults = self.faults if override is None else parse_plan(override)
        if not faults:
            return {}
        attempt = self._seen.pop(address, 0)
        self._seen[address] = attempt + 1
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return {f.kind: f for f in faults if self._hits(f, address, attempt)}

    def _hits(self, fault: Fault, address: str, attempt: int) -> bool:
        if fault.path not in address or (fault.times is not None and attempt >= fault.times):
            return False
        draw = noise.stream_key(self.seed, f"fault:{fault.kind}:{attempt}:{address}")
        return draw / 2.0**64 < fault.p


def damage(items: list[Any], faults: dict[Kind, Fault], seed: int, address: str) -> list[Any]:
    """Break or repeat items of a list, as `malformed` and `duplicate` ask."""
    result = list(items)
    if not result:
        return result
    if "duplicate" in faults:
        for number in range(faults["duplicate"].rows):
            spot = noise.stream_key(seed, f"duplicate:{number}:{address}") % len(result)
            result.insert(spot, copy.deepcopy(result[spot]))
    if "malformed" in faults:
        rows = min(faults["malformed"].rows, len(result))
        order = sorted(
            range(len(result)), key=lambda i: noise.stream_key(seed, f"malformed:{i}:{address}")
        )
        for number, spot in enumerate(order[:rows]):
            result[spot] = _broken(result[spot], number)
    return result


def _broken(item: Any, variant: int) -> Any:
    """One of the ways in which a row can be wrong."""
    if not isinstance(item, dict):
        return {"unexpected": item}
    damaged = copy.deepcopy(item)
    match variant % 5:
        case 0:
            damaged.pop("id", None)
        case 1:
            damaged["snippet"] = damaged["title"] = None
        case 2:
            damaged["statistics"] = {"viewCount": "many"}
            damaged["score"] = "many"
        case 3:
            damaged["snippet"] = {**(damaged.get("snippet") or {}), "publishedAt": "yesterday"}
            damaged["time"] = "yesterday"
        case _:
            return str(item.get("id"))
    return damaged

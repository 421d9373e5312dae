"""Faults on demand, the same for the same seed and the same sequence of requests.

A plan is a comma-separated list of faults with `;key=value` options, for example
`429;times=2, malformed;rows=3, slow;p=0.1;seconds=2`.

Refusals, in the provider's own error shape:

* `429` (option `retry_after`, seconds), `500`, `503`: that status instead of the answer;
* `401`, `403`: the credentials are refused, whatever they are;
* `quota`: Google's 403 quotaExceeded (YouTube only);
* `suspended`: Google's 403 authenticatedUserAccountSuspended (YouTube only).

On the wire, for every format:

* `slow`: the answer after `seconds`;
* `truncate`: the connection ends in the middle of the body;
* `cut`: a complete answer whose document stops in the middle.

Rows, wherever a provider lists them:

* `malformed`: `rows` of them broken, each in another way (no id, no title, words for numbers, words
  for times, no object at all);
* `duplicate`: `rows` of them twice; never one that is broken, and not where there is one row only;
* `unordered`: in another order.

Time, for every format unless it says otherwise:

* `late`: the provider knows only what it knew `hours` (6) ago, so that an item appears that long
  after its time;
* `skew`: the provider's clock is `seconds` ahead (behind, if negative): its `Date` header, and in
  JSON every moment of the items.

Meaning, in JSON:

* `drift`: the schema of answers that hold rows has changed: one field of the rows has another name,
  one is missing, one has another type, and each row has one that nobody has heard of.
  `how=rename|missing|retype|new` wants only that, `field=NAME` chooses the field (one outside the
  rows breaks whole pages);
* `break`: a measure counts something else: values of `field` are multiplied by `factor`, usually
  from a date on: `break;at=2026-01-20;factor=3;field=viewCount`.

Options of every fault: `times=n` lets it hit only the first n requests of each address and world
time, `p` a share of the requests, `path` only addresses that contain the text, `at` and `until`
(ISO date or time, UTC) only requests about moments from `at` on and before `until`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast, get_args

from ml.world import noise
from ml.world.ledger import Tally
from ml.world.parameters import WORLD_START
from ml.world.reshape import HOWS, broken

FAULTS_HEADER = "X-World-Faults"
Kind = Literal[
    "429", "500", "503", "401", "403", "quota", "suspended", "slow", "truncate", "cut",
    "malformed", "duplicate", "unordered", "late", "skew", "drift", "break",
]  # fmt: skip
_REMEMBERED = 50_000


@dataclass(frozen=True)
class Fault:
    """One kind of fault and when it strikes."""

    kind: Kind
    p: float = 1.0
    times: int | None = None
    path: str = ""
    at: datetime | None = None
    until: datetime | None = None
    rows: int = 1
    seconds: float = 1.0
    hours: float = 6.0
    retry_after: float = 1.0
    how: str = ""
    field: str = ""
    factor: float = 2.0


class Strikes(dict[Kind, Fault]):
    """The faults that hit one request, by kind, and the count of what is sent in its answer.

    Attributes:
        every: all of them; there can be several of a kind.
        tally: what `damage` has let pass; None until it was called.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.every = tuple(faults)
        self.tally: Tally | None = None
        super().__init__({fault.kind: fault for fault in self.every})


def parse_plan(text: str) -> tuple[Fault, ...]:
    """Read a plan.

    Raises:
        ValueError: naming the part that is not understood.
    """
    return tuple(_parse_fault(part) for part in text.split(",") if part.strip())


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _how(text: str) -> str:
    if text not in HOWS:
        raise ValueError(f"unknown way to drift {text!r}; known: {', '.join(HOWS)}")
    return text


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "p": float, "times": int, "path": str, "at": _moment, "until": _moment, "rows": int,
    "seconds": float, "hours": float, "retry_after": float, "how": _how, "field": str,
    "factor": float,
}  # fmt: skip


def _parse_fault(text: str) -> Fault:
    kind, *options = (piece.strip() for piece in text.split(";"))
    if kind not in get_args(Kind):
        raise ValueError(f"unknown fault {kind!r}; known: {', '.join(get_args(Kind))}")
    values: dict[str, Any] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in _OPTIONS:
            raise ValueError(f"unknown option {name!r} of fault {kind}")
        values[name] = _OPTIONS[name](value)
    if kind == "break" and not values.get("field"):
        raise ValueError("fault break needs the field whose meaning breaks: field=NAME")
    return Fault(cast("Kind", kind), **values)


@dataclass
class FaultPlan:
    """The faults of a server, with its count of requests by address."""

    seed: int
    faults: tuple[Fault, ...] = ()
    _seen: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def strike(self, address: str, override: str | None = None, minute: int = 0) -> Strikes:
        """The faults that hit this request.

        Args:
            address: path, query and world time of the request, without secrets.
            override: the plan in the request's own header, if it has one.
            minute: the moment that is asked about, since the world's start.

        Raises:
            ValueError: if that plan is not understood.
        """
        faults = self.faults if override is None else parse_plan(override)
        if not faults:
            return Strikes()
        attempt = self._seen.pop(address, 0)
        self._seen[address] = attempt + 1
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        moment = WORLD_START + timedelta(minutes=minute)
        return Strikes(
            fault
            for fault in faults
            if _is_due(fault, address, attempt, moment) and self._drawn(fault, address, attempt)
        )

    def _drawn(self, fault: Fault, address: str, attempt: int) -> bool:
        draw = noise.stream_key(self.seed, f"fault:{fault.kind}:{attempt}:{address}")
        return draw / 2.0**64 < fault.p


def _is_due(fault: Fault, address: str, attempt: int, moment: datetime) -> bool:
    if fault.path not in address or (fault.times is not None and attempt >= fault.times):
        return False
    return not (fault.at and moment < fault.at) and not (fault.until and moment >= fault.until)


def damage(items: list[Any], faults: dict[Kind, Fault], seed: int, address: str) -> list[Any]:
    """The rows of an answer as `malformed`, `duplicate` and `unordered` leave them, counted.

    Args:
        items: what the provider has to tell.
        faults: those of the call; they carry the count to the world's ledger.
        seed: the world's.
        address: of the call.
    """

    def order(name: str, spots: Iterable[int]) -> list[int]:
        return sorted(spots, key=lambda i: noise.stream_key(seed, f"{name}:{i}:{address}"))

    result = list(items)
    wrong: list[int] = []
    if fault := faults.get("malformed"):
        wrong = order("malformed", range(len(result)))[: fault.rows]
        first = noise.stream_key(seed, f"malformed:{address}")
        for number, spot in enumerate(wrong):
            result[spot] = broken(result[spot], first + number)
    twice: list[int] = []
    if (fault := faults.get("duplicate")) and len(result) > 1:
        twice = order("duplicate", set(range(len(result))) - set(wrong))[: fault.rows]
        for spot in sorted(twice, reverse=True):
            result.insert(spot, result[spot])
    if "unordered" in faults:
        result = [result[spot] for spot in order("unordered", range(len(result)))]
    if isinstance(faults, Strikes):
        tally = faults.tally = faults.tally or Tally()
        tally.items += len(result)
        tally.broken += len(wrong)
        tally.duplicates += len(twice)
    return result

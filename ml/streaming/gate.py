"""The row-level gate of streams: what a table-level gate checks once a batch, row by row.

A row that fails is a dead letter with the name and the reason of the first check that it fails; the
rest of its micro-batch goes on. `CHECKS` is all there is to extend.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from ml.sources.access import Access
from ml.sources.base import Interval, Page, Record, Rejected, Source

_TOLERANCE = timedelta(minutes=5)  # of clocks
_COUNTS = ("upvotes", "comments", "rank", "likes", "reposts", "quotes", "views")
# Records that stand for a thing, not for a sight of it: what is known of them is known.
_THINGS = ("item", "post")


@dataclass(frozen=True)
class Row:
    """A row of `raw.records` as a check sees it.

    Attributes:
        values: its columns.
        payload: one of them.
        arrived_at: when its page came.
        upvotes_before: of the same record at most an hour ago, None if there are none.
    """

    values: Mapping[str, Any]
    payload: Mapping[str, Any]
    arrived_at: datetime
    upvotes_before: int | None = None


@dataclass(frozen=True)
class Check:
    """What must hold of a row.

    Attributes:
        name: of the check.
        holds: whether it does.
        why: what is wrong with a row where it does not.
        kinds: of the records that it is about; none is all.
    """

    name: str
    holds: Callable[[Row], bool]
    why: str
    kinds: tuple[str, ...] = ()


def _has_keys(row: Row) -> bool:
    return all(row.values.get(name) for name in ("kind", "record_id", "region", "event_at"))


def _is_not_ahead(row: Row) -> bool:
    return bool(row.values["event_at"] <= row.arrived_at + _TOLERANCE)


def _counts(row: Row) -> bool:
    return all((row.payload.get(name) or 0) >= 0 for name in _COUNTS)


def _is_titled(row: Row) -> bool:
    return bool(str(row.payload.get("title") or "").strip())


def _keeps_upvotes(row: Row) -> bool:
    # In 643,894 sights of an archive no story has lost more than 14 of them at once.
    if row.upvotes_before is None or row.payload.get("upvotes") is None:
        return True
    return bool(row.payload["upvotes"] >= row.upvotes_before / 2 - 10)


CHECKS: tuple[Check, ...] = (
    Check("has_keys", _has_keys, "a column of the key is empty"),
    Check("not_ahead", _is_not_ahead, "it happened after it arrived"),
    Check("counts", _counts, "a count is below 0"),
    Check("titled", _is_titled, "there is no title", ("item",)),
    Check("keeps_upvotes", _keeps_upvotes, "most upvotes are gone within an hour", ("snapshot",)),
)

# A wrong sight that got in is compared with for an hour only: then right ones pass again. It is the
# hour before the page, so that a replay judges as the stream has.
_UPVOTES_BEFORE = """
select sought.record_id, latest.upvotes
from unnest(%(ids)s::text[]) as sought (record_id)
cross join lateral (
    select (payload ->> 'upvotes')::numeric::bigint as upvotes
    from raw.records
    where source = %(source)s and kind = 'snapshot' and record_id = sought.record_id
        and event_at > %(at)s - interval '1 hour' and event_at < %(at)s
    order by event_at desc limit 1
) as latest
where latest.upvotes is not null
"""


def failed(row: Row) -> Check | None:
    """The first check that does not hold."""
    for check in CHECKS:
        if (not check.kinds or row.values.get("kind") in check.kinds) and not check.holds(row):
            return check
    return None


_KNOWN = """
select record_id, event_at, payload from raw.records
where source = %(source)s and kind = any(%(things)s) and record_id = any(%(ids)s)
"""


class Gated(Source):
    """A source whose parser lets through only rows that pass.

    Items and posts that are in the table as they are do not go through again: each look would move
    the time at which they could be known, and a build as of a minute ago would not see them.

    Args:
        source: whose parser it is.
        conn: where earlier rows are looked up.
    """

    def __init__(self, source: Source, conn: psycopg.Connection) -> None:
        super().__init__(source.settings)
        self.spec = source.spec
        self._source = source
        self._conn = conn

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """As the source does."""
        return self._source.fetch(interval, cursor, access)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """As the source does; a row that fails a check becomes `Rejected`."""
        found = list(self._source.parse(page))
        ids = sorted({item.values["record_id"] for item in found if isinstance(item, Record)})
        given = {"ids": ids, "source": self.id, "things": list(_THINGS), "at": page.fetched_at}
        upvotes: dict[str, int] = dict(self._conn.execute(_UPVOTES_BEFORE, given).fetchall())
        rows = self._conn.execute(_KNOWN, given).fetchall()
        known = {(record_id, event_at): payload for record_id, event_at, payload in rows}
        for position, item in enumerate(found):
            if isinstance(item, Rejected):
                yield item
            elif not _is_known(item.values, known):
                yield _checked(item, page, upvotes, position)


def _is_known(values: Mapping[str, Any], known: Mapping[tuple[str, datetime], Any]) -> bool:
    payload = known.get((values["record_id"], values["event_at"]))
    return values["kind"] in _THINGS and bool(payload == values["payload"])


def _checked(
    item: Record, page: Page, upvotes: Mapping[str, int], position: int
) -> Record | Rejected:
    values = item.values
    row = Row(values, values["payload"], page.fetched_at, upvotes.get(values["record_id"]))
    check = failed(row)
    if check is None:
        return item
    shown = json.dumps(values, default=str)
    # Beside the parser's dead letters of the page, which are of no kind of record.
    return Rejected(values["kind"], f"gate {check.name}: {check.why}", shown, position)

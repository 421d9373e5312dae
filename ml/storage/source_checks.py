"""Asking sources online whether they still speak as their modules expect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from ml.exceptions import YtempireError
from ml.sources.access import Access
from ml.sources.base import Interval, Record, Source
from ml.storage import postgres

# Enough to meet an item, and little of a quota.
_PAGES = 3
_SPAN = timedelta(days=1)


@dataclass(frozen=True)
class SourceCheck:
    """How a source answered.

    Attributes:
        status: `verified` by its provider, `simulated` by the world server, `unavailable` as
            configured, or `failed`.
        detail: what came, or what to do.
    """

    source: str
    status: str
    detail: str


def check_sources(
    sources: Iterable[Source], on_done: Callable[[SourceCheck], None] = lambda _: None
) -> list[SourceCheck]:
    """Ask each source for a few pages of the last day and keep the result in `ops.source_checks`.

    Nothing is landed. Only an answer of the provider itself verifies a source.
    """
    checks = []
    for source in sources:
        check = _check(source)
        _keep(check)
        on_done(check)
        checks.append(check)
    return checks


def verified_sources() -> dict[str, datetime]:
    """When each source that was ever verified last was."""
    with postgres.connect() as conn:
        rows = conn.execute(
            "select source, verified_at from ops.source_checks where verified_at is not null"
        ).fetchall()
    return dict(rows)


def _check(source: Source) -> SourceCheck:
    state = source.availability()
    if not state.available:
        return SourceCheck(source.id, "unavailable", state.reason)
    now = datetime.now(UTC)
    access = Access(source.settings, at=now)
    try:
        pages = islice(source.fetch(Interval(now - _SPAN, now), None, access), _PAGES)
        found = [item for page in pages for item in source.parse(page)]
    except YtempireError as error:
        return SourceCheck(source.id, "failed", str(error))
    records = sum(isinstance(item, Record) for item in found)
    detail = f"{records} records, {len(found) - records} rejected"
    if not records:
        return SourceCheck(source.id, "failed", f"{detail}: see whether its format has changed")
    return SourceCheck(source.id, "simulated" if source.settings.uses_world else "verified", detail)


def _keep(check: SourceCheck) -> None:
    with postgres.transaction() as conn:
        conn.execute(
            "insert into ops.source_checks (source, checked_at, verified_at, detail)"
            " values (%(source)s, now(), case when %(verified)s then now() end, %(detail)s)"
            " on conflict (source) do update set checked_at = excluded.checked_at,"
            " verified_at = coalesce(excluded.verified_at, ops.source_checks.verified_at),"
            " detail = excluded.detail",
            {
                "source": check.source,
                "verified": check.status == "verified",
                "detail": f"{check.status}: {check.detail}",
            },
        )

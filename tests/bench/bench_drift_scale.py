"""S9: verdicts on 1,000 columns x 300,000 rows and on 100 x 3 million, counted in Postgres.

A database of its own on the running platform holds one table a case: numbers of four laws (even,
normal, skewed, few distinct values), a tenth of the columns with missing values. Nine tenths of the
rows are the reference in 30 blocks, the rest the window; every twentieth column is shifted there.
Timed is everything from the table to the verdicts. Smaller cases show how it grows. A column is
`real`: a thousand of them and their null bits make 4 KB rows, and Postgres takes at most 1,600 in a
table; wider data are several tables with one block numbering.

    python tests/bench/bench_drift_scale.py
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provenance import provenance
from psycopg import sql
from sqlalchemy.engine import make_url

from ml.monitoring.profile import CURRENT, Relation, profile_relation
from ml.monitoring.shift import call, compare
from ml.settings import get_settings
from ml.storage.postgres import connect

_RESULTS = Path(__file__).parent / "results" / "drift_scale.json"
_DATABASE = f"bench_drift_{os.getpid()}"
CASES = ((100, 30_000), (100, 300_000), (1_000, 30_000), (1_000, 300_000), (100, 3_000_000))
_BLOCKS, _EVERY = 30, 20
_LAWS = ("random()", "random_normal()", "-ln(1 - random())", "floor(random() * 5)")


def main() -> None:
    """Measure each case and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", metavar="COLUMNSxROWS")
    asked = parser.parse_args().cases
    cases = [tuple(map(int, each.split("x"))) for each in asked] if asked else CASES
    found = {**provenance(), "cases": []}
    with _database() as url:
        for columns, rows in cases:
            found["cases"].append(measure(url, columns, rows))
            print(json.dumps(found["cases"][-1]), flush=True)
            _RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def measure(url: str, columns: int, rows: int) -> dict[str, Any]:
    """Fill a table, and time the way from it to the verdicts."""
    names = [f"c{number}" for number in range(columns)]
    with connect(url, autocommit=True) as conn:
        begin = time.monotonic()
        _fill(conn, names, rows)
        filled = time.monotonic() - begin
        size = conn.execute("select pg_table_size('watched')").fetchone()[0]
        before, begin = os.getloadavg()[0], time.monotonic()
        profiles = profile_relation(conn, Relation("watched", tuple(names)))
        counted = time.monotonic() - begin
        shifts = call([each for profile in profiles if (each := compare(profile)) is not None])
        seconds = time.monotonic() - begin
        conn.execute("drop table watched")
    shifted = set(names[::_EVERY])
    called = {shift.name for shift in shifts if shift.is_shifted}
    return {
        "columns": columns,
        "rows": rows,
        "table_bytes": size,
        "fill_s": round(filled, 1),
        "counting_s": round(counted, 1),
        "tests_s": round(seconds - counted, 1),
        "seconds": round(seconds, 1),
        "ns_a_value": round(seconds / columns / rows * 1e9),
        "load_average_before": before,
        "shifted_found": f"{len(called & shifted)} of {len(shifted)}",
        "false_calls": len(called - shifted),
    }


def _fill(conn: Any, names: list[str], rows: int) -> None:
    columns = ", ".join(f"{name} real" for name in names)
    conn.execute(f"create unlogged table watched (block integer not null, {columns})")
    values = ", ".join(_value(number) for number in range(len(names)))
    # Half a standard deviation of the even law is 0.14; every law gets it on its own scale.
    conn.execute(
        sql.SQL(
            "insert into watched select case when g % 10 = 0 then {current} else g % {blocks} end,"
            f" {values} from generate_series(1, {rows}) as g"
        ).format(current=sql.Literal(CURRENT), blocks=sql.Literal(_BLOCKS))
    )
    conn.execute("vacuum analyze watched (block)")


def _value(number: int) -> str:
    value = _LAWS[number // _EVERY % len(_LAWS)]
    if number % _EVERY == 0:
        value = f"({value}) * case when g % 10 = 0 then 1.5 else 1 end"
    return f"case when random() < 0.05 then null else {value} end" if number % 10 == 3 else value


@contextmanager
def _database() -> Iterator[str]:
    """A database that goes with the bench."""
    settings = get_settings()
    secrets = json.loads((settings.state_dir / "secrets.json").read_text())
    url = make_url(settings.require("database_url"))
    admin = url.set(
        username="postgres_admin", password=secrets["postgres_admin"], database="postgres"
    ).render_as_string(hide_password=False)
    with connect(admin, autocommit=True) as conn:
        conn.execute(f"create database {_DATABASE} owner {url.username}")
    try:
        yield url.set(database=_DATABASE).render_as_string(hide_password=False)
    finally:
        with connect(admin, autocommit=True) as conn:
            conn.execute(f"drop database {_DATABASE} with (force)")


if __name__ == "__main__":
    main()

"""Build times of the dbt models, full and incremental, and their size on disk, by raw rows.

The world's bulk writer makes the pages, and the real landing's loader puts them into a database of
its own on the running platform; bronze is left out. What goes beyond a quarter of a million rows
are copies of them under other ids, from one template. Topics are dealt out by a hash, because their
texts do not matter here. Each size is built from nothing, then again after one more day has come
in, and again with nothing new.

    python tests/bench/bench_warehouse.py --sizes 100000 1000000
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from provenance import provenance
from sqlalchemy.engine import make_url
from warehouse_rows import Size, load, seed, spread

from ml.settings import Settings, get_settings
from ml.storage import migrate
from ml.storage.postgres import connect
from ml.warehouse import run_dbt
from ml.world.parameters import WORLD_START

_RESULTS = Path(__file__).parent / "results" / "warehouse.json"
_DATABASE = f"bench_warehouse_{os.getpid()}"
_COMMAND = [
    "build", "--select", "path:models/staging", "path:models/intermediate", "path:snapshots",
    "path:models/marts", "--exclude-resource-type", "test",
    "--exclude-resource-type", "unit_test",
]  # fmt: skip
_TABLES = """
    select n.nspname || '.' || c.relname, greatest(c.reltuples, 0)::bigint,
        pg_total_relation_size(c.oid)
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('raw', 'intermediate', 'marts_build', 'snapshots')
        and c.reltuples > 0
    order by 3 desc
"""


def main() -> None:
    """Measure each size and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument(
        "--template", help="a database of the same days, made by an earlier bench; made if absent"
    )
    arguments = parser.parse_args()
    for size in map(Size, arguments.sizes):
        template = arguments.template or f"bench_template_{size.read}"
        if not _exists(template):
            with _database(template, keep=True) as settings:
                load(size, WORLD_START, size.days - 1, settings)
        with _database(_DATABASE, template) as settings:
            keep(measure(size, settings))


def keep(found: dict[str, Any]) -> None:
    """Put the figures of a size into the results, in the place of older ones of that size."""
    known = json.loads(_RESULTS.read_text())["sizes"] if _RESULTS.exists() else []
    others = [each for each in known if each["asked_rows"] != found["asked_rows"]]
    sizes = sorted([*others, found], key=lambda each: int(each["asked_rows"]))
    note = (
        "on a busy machine the wall time says little: load averages tell how busy it was (the bench"
        " itself adds 1 to 2), CPU seconds are those of the build alone"
    )
    _RESULTS.write_text(json.dumps({"note": note, "sizes": sizes}, indent=1) + "\n")


def measure(size: Size, settings: Settings) -> dict[str, Any]:
    """Seed, build in full, and build again after one more day and after nothing."""
    last = WORLD_START + timedelta(days=size.days)
    found: dict[str, Any] = {
        "asked_rows": size.rows,
        **provenance(),
        "days": size.days,
        "minutes": size.minutes,
        "copies": size.copies,
    }
    spread(size, WORLD_START, size.days - 1, settings)
    found["full"] = build(last - timedelta(days=1), settings)
    found["one_day_more"] = seed(size, last - timedelta(days=1), 1, settings)
    found["incremental"] = build(last, settings)
    found["nothing_new"] = build(last, settings)
    with connect(settings.database_url) as conn:
        conn.execute("analyze")
        tables = conn.execute(_TABLES.encode()).fetchall()
    found["tables"] = {name: {"rows": rows, "bytes": size} for name, rows, size in tables}
    found["raw_rows"] = sum(
        each["rows"] for name, each in found["tables"].items() if "raw." in name
    )
    found["bytes"] = sum(each["bytes"] for each in found["tables"].values())
    print(json.dumps({key: found[key] for key in ("asked_rows", "raw_rows", "bytes")}))
    return found


def build(as_of: datetime, settings: Settings) -> dict[str, Any]:
    """Seconds of a build by model, CPU seconds of dbt and Postgres, and the load around it."""
    before, used = os.getloadavg(), _cpu_seconds(settings)
    summary = run_dbt(_COMMAND, as_of=as_of, settings=settings)
    cpu = {name: round(total - used[name], 1) for name, total in _cpu_seconds(settings).items()}
    timed = {name: seconds for name, seconds in summary.models.items() if seconds >= 0.1}
    print(f"built in {summary.seconds:.0f} s, {cpu}: {dict(list(timed.items())[:5])}", flush=True)
    return {
        "as_of": as_of.isoformat(),
        "seconds": round(summary.seconds, 1),
        "cpu_seconds": cpu,
        "models_seconds": round(sum(summary.models.values()), 1),
        "load": [round(before[0], 1), round(os.getloadavg()[0], 1)],
        "models": timed,
    }


def _cpu_seconds(settings: Settings) -> dict[str, float]:
    """What ended processes have used so far: dbt's, and the server's for its connections."""
    pid = (settings.state_dir / "data" / "postgres" / "postmaster.pid").read_text().split()[0]
    server = psutil.Process(int(pid)).cpu_times()
    ours = psutil.Process().cpu_times()
    return {
        "dbt": ours.children_user + ours.children_system,
        "postgres": server.children_user + server.children_system,
    }


@contextmanager
def _database(name: str, template: str = "template1", *, keep: bool = False) -> Iterator[Settings]:
    """Settings of a migrated database of our own on the running server."""
    url = make_url(get_settings().require("database_url"))
    try:
        _run("postgres", f"drop database if exists {name} with (force)",
             f"create database {name} template {template} owner {url.username}")  # fmt: skip
        _run(name, "create extension if not exists vector")
        bench = url.set(database=name)
        os.environ["DATABASE_URL"] = bench.render_as_string(hide_password=False)
        get_settings.cache_clear()
        migrate.upgrade()
        yield get_settings()
    finally:
        os.environ.pop("DATABASE_URL", None)
        get_settings.cache_clear()
        if not keep:
            _run("postgres", f"drop database if exists {name} with (force)")


def _exists(name: str) -> bool:
    return bool(_run("postgres", f"select from pg_database where datname = '{name}'"))


def _run(database: str, *statements: str) -> int:
    """Run statements as the server's administrator; returns the rows of the last one."""
    settings = get_settings()
    secrets = json.loads((settings.state_dir / "secrets.json").read_text())
    url = make_url(settings.require("database_url")).set(
        username="postgres_admin", password=secrets["postgres_admin"], database=database
    )
    rows = 0
    with connect(url.render_as_string(hide_password=False), autocommit=True) as conn:
        for statement in statements:
            rows = conn.execute(statement.encode()).rowcount
    return rows


if __name__ == "__main__":
    main()

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import yaml

from ml.exceptions import ConfigurationError
from ml.gates import SUITES_DIR, RowFilter, load_suite, suite_names, suites, validation
from ml.gates.report import render_html
from ml.gates.suites import FRAME
from ml.settings import PROJECT_ROOT
from ml.warehouse import DBT_PROJECT_DIR, mart_names

AS_OF = datetime(2026, 5, 31, 5, tzinfo=UTC)
REGISTERED = (
    "trend_video", "trend_story", "trend_topic", "quality_engagement", "quality_policy",
    "audience_preference",
)  # fmt: skip


def test_every_mart_raw_table_and_training_frame_has_a_suite():
    tables = {load_suite(name).table for name in suite_names()}
    missing = {f"marts_build.{mart}" for mart in mart_names()} - tables
    assert not missing, f"write great_expectations/<mart>.yaml for {sorted(missing)}"
    assert tables >= {"raw.youtube_videos", "raw.records", "features.video_momentum"}
    frames = {name for name in suite_names() if load_suite(name).table == FRAME}
    assert frames == {f"training_{model}" for model in REGISTERED}


@pytest.mark.parametrize("model", REGISTERED)
def test_every_training_asks_its_gate(model):
    asking = [
        path
        for path in (PROJECT_ROOT / "ml").rglob("*.py")
        if f'"training_{model}"' in path.read_text()
    ]
    assert len(asking) == 1


def test_no_suite_is_of_a_mart_that_is_gone():
    tables = {load_suite(name).table for name in suite_names()}
    marts = {table for table in tables if table.startswith("marts_build.")}
    assert marts == {f"marts_build.{mart}" for mart in mart_names()}


@pytest.mark.parametrize("mart", mart_names())
def test_suites_name_columns_that_the_mart_has(mart):
    document = (DBT_PROJECT_DIR / "models" / "marts" / f"{mart}.yml").read_text()
    columns = {column["name"] for column in yaml.safe_load(document)["models"][0]["columns"]}
    suite = load_suite(mart)
    named = {check.column for check in suite.checks if check.column} | set(suite.key)
    for check in suite.checks:
        named |= set(check.arguments.get("column_set", ()))
    assert named <= columns


def test_the_folder_holds_data_and_no_python():
    assert {path.suffix for path in SUITES_DIR.iterdir()} == {".yaml"}


@pytest.mark.parametrize("name", suite_names())
@pytest.mark.parametrize("whole", [True, False])
def test_great_expectations_accepts_every_expectation(name, whole):
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    validation.gx()
    suite = load_suite(name)
    assert suite.name == name
    for check in suite.checks:
        kind, arguments = check.as_known_to_gx(suite.table, AS_OF, whole=whole)
        ExpectationConfiguration(type=kind, kwargs=arguments).to_domain_obj()


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_can_block_and_says_why(name):
    checks = load_suite(name).checks
    assert any(check.severity == "block" for check in checks)
    assert all(check.why.endswith(".") for check in checks)


def test_an_unknown_gate_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"the gates are .*raw_records"):
        load_suite("../pyproject")


def test_placeholders_are_filled_in_as_a_moment_and_inside_a_text():
    arguments = {"max_value": "$as_of", "query": "select from $table where x < '$as_of'"}
    check = suites.Check("n", "t", arguments, "warn", "w")
    assert check.as_known_to_gx("raw.records", AS_OF, whole=True) == (
        "t",
        {
            "max_value": AS_OF,
            "query": "select from raw.records where x < '2026-05-31T05:00:00+00:00'",
        },
    )


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"name": "a", "severity": "stop", "why": "w"}, "block or warn, not 'stop'"),
        ({"name": "a", "severity": "warn"}, "missing 'why'"),
    ],
)
def test_a_suite_with_a_wrong_entry_is_refused(tmp_path, monkeypatch, meta, message):
    suite = {"table": "raw.records", "key": [], "expectations": [{"type": "t", "meta": meta}]}
    (tmp_path / "broken.yaml").write_text(json.dumps(suite))
    monkeypatch.setattr(suites, "SUITES_DIR", tmp_path)
    with pytest.raises(ConfigurationError, match=message):
        load_suite("broken")


def test_a_name_used_twice_is_refused(tmp_path, monkeypatch):
    entry = {"type": "t", "meta": {"name": "same", "severity": "warn", "why": "w"}}
    suite = {"table": "raw.records", "key": [], "expectations": [entry, entry]}
    (tmp_path / "twice.yaml").write_text(json.dumps(suite))
    monkeypatch.setattr(suites, "SUITES_DIR", tmp_path)
    with pytest.raises(ConfigurationError, match="same is there twice"):
        load_suite("twice")


def test_a_row_filter_quotes_what_it_is_given():
    where = RowFilter(
        ingested_since=AS_OF, ingested_until=AS_OF, sources=("a", "b'"), bronze_run="x' or true --"
    )
    assert not where.whole_table
    assert where.condition() == (
        "ingested_at >= '2026-05-31T05:00:00+00:00' and ingested_at <= '2026-05-31T05:00:00+00:00'"
        " and source in ('a', 'b''') and strpos(bronze_key, '/run=x'' or true --/') > 0"
    )
    assert RowFilter().condition() == "true"


def test_the_page_stands_alone_and_escapes_what_came_from_the_data():
    check = {"name": "n", "type": "t", "arguments": {}, "severity": "block", "why": "w"}
    page = render_html(
        {
            "gate": "g",
            "run_id": "r",
            "rows": 3,
            "as_of": "2026",
            "seconds": 1.0,
            "blocked": True,
            "expectations": [
                {
                    "check": check,
                    "success": False,
                    "unexpected": 3,
                    "observed": None,
                    "examples": [{"title": "<script>alert(1)</script>"}],
                    "error": None,
                }
            ],
        }
    )
    assert "blocked" in page
    assert "<script" not in page
    assert "http" not in page

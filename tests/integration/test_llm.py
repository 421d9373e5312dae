"""Scripts by a paid model: the whole stage, on the real ledger, in the simulated world."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from ml.exceptions import GenerationError, QuotaExceededError
from ml.generation import pipeline
from ml.generation.artifacts import LocalStore
from ml.generation.brief import ChannelBrief, Fact, VideoBrief
from ml.generation.budget import Budget, PostgresLedger
from ml.generation.llm.catalog import chain
from ml.generation.llm.interface import Usage
from ml.generation.records import record_stage
from ml.generation.script import Script
from ml.settings import Settings
from ml.storage.postgres import connect

HOSTS = ("api.openai.com", "api.anthropic.com")


@pytest.fixture(scope="module")
def paid(settings: Settings) -> Settings:
    """Both paid providers, asked in the world; no local model behind them."""
    urls = {host: f"{settings.world_url}/{host}" for host in HOSTS}
    return settings.changed(
        {
            "provider_urls": urls,
            "script_model_provider": "openai",
            "script_model_fallbacks": ("anthropic",),
        }
    )


@pytest.fixture(autouse=True)
def empty_ledger(settings: Settings) -> None:
    with connect(settings.require("database_url")) as conn:
        conn.execute("truncate ops.cost_ledger")


def brief(video_id: str) -> VideoBrief:
    return VideoBrief(
        video_id=video_id,
        channel=ChannelBrief(channel_id="c", name="Trend Lab", niche="Food"),
        topic="sourdough bread",
        facts=(
            Fact(
                text="Anna Cooks bakes sourdough bread, and 81 thousand people watch.", source="s"
            ),
            Fact(text="Many viewers of sourdough bread bake a loaf at home.", source="s"),
        ),
        target_seconds=24,
        synthetic=True,
        as_of=datetime(2026, 5, 29, tzinfo=UTC),
    )


def rows(settings: Settings) -> list[tuple]:
    with connect(settings.require("database_url")) as conn:
        return conn.execute(
            "select video_id, stage, provider, unit, quantity::float8, cost_usd::float8"
            " from ops.cost_ledger order by provider, unit"
        ).fetchall()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_script_by_a_paid_model_is_booked_once(paid, tmp_path, provider):
    settings = paid.changed({"script_model_provider": provider})
    given, store = brief(f"paid-{provider}"), LocalStore(tmp_path)
    result = pipeline.run_stage("script", given, store=store, settings=settings)
    script = Script.model_validate_json(store.get_text(result.outputs["script.json"]["key"]))
    model = chain(settings)[0]
    assert result.provider == model.name
    assert result.metrics["method"] == "script"
    assert set(result.metrics["prompt_versions"]) == {"script", "repair"}
    assert script.script.intro.hook == "Why is everyone talking about sourdough bread?"
    assert script.generation_cost == result.cost_usd > 0
    with connect(settings.require("database_url")) as conn:
        record_stage(conn, given, result)
        record_stage(conn, given, result)
    booked = rows(settings)
    usage = result.metrics["llm_calls"][0]["usage"]
    tokens = {row[3]: row[4] for row in booked}
    assert tokens["prompt_tokens"] == usage["prompt_tokens"]
    assert tokens["completion_tokens"] == usage["completion_tokens"]
    assert {row[:3] for row in booked} == {(given.video_id, "script", model.name)}
    assert sum(row[5] for row in booked) == pytest.approx(result.cost_usd)


def test_without_money_left_nothing_is_asked(paid, tmp_path):
    settings = paid.changed({"llm_daily_budget_usd": 0.0})
    with pytest.raises(GenerationError, match="YTEMPIRE_LLM_DAILY_BUDGET_USD"):
        pipeline.run_stage("script", brief("poor"), store=LocalStore(tmp_path), settings=settings)
    assert rows(settings) == []


def test_two_workers_cannot_spend_the_same_dollar(paid):
    """Of eight at a time, the budget has room for three."""
    model, most = chain(paid)[0], 0.30
    ledger = PostgresLedger(paid.require("database_url"), Budget(1.0), video_id="v", stage="script")
    held, refused = [], []

    def hold() -> None:
        try:
            held.append(ledger.hold(model.name, most))
        except QuotaExceededError as error:
            refused.append(error)

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (3, 5)
    assert [(row[3], row[5]) for row in rows(paid)] == [("held_usd", most)] * 3
    ledger.settle(held[0], model.name, model.booked(Usage(1_000_000, 100_000)))
    ledger.settle(held[1], model.name, model.booked(Usage()))
    units = {row[3]: row[5] for row in rows(paid)}
    # A million tokens is a long prompt of this model's, at twice and one and a half the price.
    assert units == pytest.approx(
        {"prompt_tokens": 0.2, "completion_tokens": 0.075, "held_usd": most}
    )
    assert ledger.hold(model.name, 0.4)

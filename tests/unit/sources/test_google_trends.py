from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError, RecordError, SourceUnavailableError
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.google_trends import GoogleTrendsSource, at_least

from .conftest import LiveWorld, fetch, world_settings

SOURCE = GoogleTrendsSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
# The shape of public recordings of https://trends.google.com/trending/rss?geo=US (2026-11).
ITEM = """<item><title>chess final</title><ht:approx_traffic>20K+</ht:approx_traffic>
<description></description><link>https://trends.google.com/trending/rss?geo=US</link>
<pubDate>Sun, 11 Jan 2026 01:10:00 -0800</pubDate><ht:picture>https://a.example/p.jpg</ht:picture>
<ht:picture_source>A</ht:picture_source>
<ht:news_item><ht:news_item_title>One &amp; only</ht:news_item_title><ht:news_item_snippet/>
<ht:news_item_url>https://a.example/1</ht:news_item_url>
<ht:news_item_source>A</ht:news_item_source></ht:news_item>
<ht:news_item><ht:news_item_title>Two</ht:news_item_title>
<ht:news_item_url>https://a.example/2</ht:news_item_url></ht:news_item></item>"""


def page(*items: str, namespace: str = "https://trends.google.com/trending/rss") -> Page:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><rss xmlns:ht="{namespace}" version="2.0">'
        f"<channel><title>Daily Search Trends</title>{''.join(items)}</channel></rss>"
    )
    return Page("trending", "US", 0, body.encode(), "GET http://x", NOON)


def test_recorded_item_parses() -> None:
    trend, snapshot = SOURCE.parse(page(ITEM))
    assert isinstance(trend, Record)
    assert isinstance(snapshot, Record)
    assert trend.values["record_id"] == snapshot.values["record_id"] == "chess final"
    assert trend.values["region"] == "US"
    assert trend.values["event_at"] == datetime(2026, 1, 11, 9, 10, tzinfo=UTC)
    assert trend.values["payload"] == {
        "title": "chess final",
        "news_titles": ["One & only", "Two"],
        "news_urls": ["https://a.example/1", "https://a.example/2"],
        "picture": "https://a.example/p.jpg",
        "rank": 1,
        "traffic_at_least": 20_000,
    }
    assert snapshot.values["event_at"] == NOON
    assert snapshot.values["payload"] == {"rank": 1, "traffic_at_least": 20_000}


def test_former_namespace_is_understood() -> None:
    former = "https://trends.google.com/trends/trendingsearches/daily"
    trend, _ = SOURCE.parse(page(ITEM, namespace=former))
    assert isinstance(trend, Record)
    assert trend.values["payload"]["traffic_at_least"] == 20_000


@pytest.mark.parametrize(
    ("text", "number"),
    [("200+", 200), ("1,000+", 1000), ("20K+", 20_000), ("1M+", 1_000_000),
     ("2.5M+", 2_500_000), ("200,000+", 200_000), ("", None)],
)  # fmt: skip
def test_traffic_is_a_lower_bound(text: str, number: int | None) -> None:
    assert at_least({"traffic": text}, "traffic") == number


@pytest.mark.parametrize("text", ["many", "20k", "1천+", "-5", "1,00+", "1e9", "9" * 400])
def test_other_traffic_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match="traffic is not a number of searches"):
        at_least({"traffic": text}, "traffic")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<title>chess final</title>", "", "title"),
        ("chess final", "c" * 501, "longer than"),
        ("20K+", "many", "approx_traffic"),
        ("Sun, 11 Jan 2026 01:10:00 -0800", "yesterday", "pubDate"),
        ("Sun, 11 Jan 2026 01:10:00 -0800", "Mon, 12 Jan 2026 01:10:00 -0800", "in the future"),
        ("Sun, 11 Jan 2026 01:10:00 -0800", "Sun, 11 Jan 2026 01:10:00", "pubDate"),
    ],
)
def test_item_that_does_not_fit_is_a_dead_letter(old: str, new: str, reason: str) -> None:
    first, second, _ = SOURCE.parse(page(ITEM.replace(old, new), ITEM))
    assert isinstance(first, Rejected)
    assert reason in first.reason
    assert isinstance(second, Record)
    assert second.values["payload"]["rank"] == 2


def test_each_region_gives_its_trends(world: LiveWorld, day: Interval) -> None:
    source = GoogleTrendsSource(world.settings)
    pages = fetch(source, day)
    assert [each.region for each in pages] == ["US", "GB", "IN"]
    found = [list(source.parse(each)) for each in pages]
    titles = []
    for rows in found:
        trends = [r.values for r in rows if isinstance(r, Record) and r.values["kind"] == "trend"]
        assert len(rows) == 2 * len(trends)
        assert [v["payload"]["rank"] for v in trends] == list(range(1, len(trends) + 1))
        assert len({v["record_id"] for v in trends}) == len(trends) >= 8
        assert all(v["event_at"] < day.end and v["payload"]["news_urls"] for v in trends)
        titles.append({v["record_id"] for v in trends})
    assert titles[0] != titles[1]


def test_trend_keeps_its_key_while_it_lasts_and_never_falls(
    world: LiveWorld, day: Interval
) -> None:
    source = GoogleTrendsSource(world.settings)
    seen: dict[str, list[tuple[datetime, int]]] = {}
    for hour in range(0, 12, 3):
        end = day.end + timedelta(hours=hour)
        for each in fetch(source, Interval(end - timedelta(hours=3), end))[:1]:
            for row in source.parse(each):
                assert isinstance(row, Record)
                if row.values["kind"] == "trend":
                    traffic = row.values["payload"]["traffic_at_least"]
                    entry = (row.values["event_at"], traffic)
                    seen.setdefault(row.values["record_id"], []).append(entry)
    lasting = [looks for looks in seen.values() if len(looks) == 4]
    assert lasting
    for looks in lasting:
        assert len({started for started, _ in looks}) == 1
        assert [traffic for _, traffic in looks] == sorted(traffic for _, traffic in looks)


def test_faults_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = GoogleTrendsSource(world.settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, cut;times=2, 500;times=3")
    assert fetch(source, day) == clean


def test_provider_that_keeps_failing_stops_the_fetch(world: LiveWorld, day: Interval) -> None:
    world.set_faults("503")
    with pytest.raises(ProviderError):
        fetch(GoogleTrendsSource(world.settings), day)


def test_malformed_items_become_dead_letters(world: LiveWorld, day: Interval) -> None:
    source = GoogleTrendsSource(world.settings)
    clean = sum(1 for each in fetch(source, day) for _ in source.parse(each)) // 2
    world.set_faults("malformed;rows=3")
    found = [row for each in fetch(source, day) for row in source.parse(each)]
    rejected = sum(isinstance(row, Rejected) for row in found)
    assert rejected == 9
    assert len(found) - rejected == 2 * (clean - 9)


def test_unknown_region_is_refused(world: LiveWorld, day: Interval) -> None:
    settings = world.settings.model_copy(update={"google_trends_regions": ("Atlantis",)})
    with pytest.raises(SourceUnavailableError):
        fetch(GoogleTrendsSource(settings), day)


def test_source_without_a_region_names_the_variable() -> None:
    settings = world_settings("http://127.0.0.1:1", google_trends_regions=())
    assert "GOOGLE_TRENDS_REGIONS" in GoogleTrendsSource(settings).availability().reason


FIELDS = st.sampled_from(["title", "ht:approx_traffic", "pubDate", "ht:news_item", "ht:picture"])
VALUES = st.sampled_from(["200+", "Sun, 11 Jan 2026 01:10:00 -0800", "x", "", "1M+", "9" * 30])
ITEMS = st.lists(st.tuples(FIELDS, VALUES).map(lambda pair: "<{0}>{1}</{0}>".format(*pair))).map(
    lambda parts: f"<item>{''.join(parts)}</item>"
)


@given(st.lists(ITEMS, max_size=4))
def test_parser_accounts_for_every_item(items: list[str]) -> None:
    found = list(SOURCE.parse(page(*items)))
    trends = [r for r in found if isinstance(r, Record) and r.values["kind"] == "trend"]
    assert len(trends) + sum(isinstance(r, Rejected) for r in found) == len(items)


@given(
    st.binary()
    | st.lists(
        st.sampled_from(
            [b"<rss>", b"<channel>", b"</channel>", b"</rss>", b"<item>", b"</item>", b"<title>",
             b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"<![CDATA[", b"]]>", b"\x00",
             b"<?xml version='1.0' encoding='utf-7'?>", b"<?xml version='1.0' encoding='no'?>"]
        )
    ).map(b"".join)
)  # fmt: skip
def test_parser_never_raises_on_any_body(body: bytes) -> None:
    for row in SOURCE.parse(Page("trending", "US", 0, body, "GET http://x", NOON)):
        assert isinstance(row, Rejected)

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.catalog import get_source
from ml.sources.feed_list import load_feeds
from ml.sources.feeds import UNDATED, FeedSource

from .conftest import LiveWorld, fetch, world_settings

SETTINGS = world_settings("http://127.0.0.1:1")
FEED = load_feeds()[0]
SOURCE = FeedSource(SETTINGS, FEED)
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# https://www.rssboard.org/rss-specification (2026-11): the elements of an item, with its example of
# a relationship between guid and link.
RSS = b"""<?xml version="1.0"?>
<rss version="2.0"><channel><title>Liftoff News</title><link>http://liftoff.example/</link>
<description>Liftoff to Space.</description>
<item>
  <title>Star City &amp; beyond</title>
  <link>http://liftoff.example/news/2003/news-starcity.asp</link>
  <description>How do &lt;b&gt;Americans&lt;/b&gt; get ready?
    &lt;script&gt;x()&lt;/script&gt;</description>
  <author>lawyer@boyer.example (Lawyer Boyer)</author>
  <category>Space</category><category>Space</category><category>Russia</category>
  <pubDate>Tue, 03 Jun 2003 09:39:21 +0200</pubDate>
  <guid>http://liftoff.example/2003/06/03.html#item573</guid>
</item>
</channel></rss>"""
# https://www.rfc-editor.org/rfc/rfc4287#section-1.1 (2026-11).
ATOM = b"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <title>Example Feed</title><link href="http://example.org/"/>
  <updated>2003-12-13T18:30:02Z</updated><author><name>John Doe</name></author>
  <id>urn:uuid:60a76c80-d399-11d9-b93C-0003939e0af6</id>
  <entry>
    <title>Atom-Powered Robots Run Amok</title><link href="/2003/12/13/atom03"/>
    <id>urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a</id>
    <updated>2003-12-13T18:30:02Z</updated><summary>Some text.</summary>
  </entry>
</feed>"""


def page(body: bytes, content_type: str = "application/rss%2Bxml", at: datetime = NOON) -> Page:
    request = f"GET http://x/feed#content-type={content_type}"
    return Page("feed", "GB", 0, body, request, at)


def rss(*items: str) -> bytes:
    inside = "".join(f"<item>{item}</item>" for item in items)
    return f'<rss version="2.0"><channel><title>t</title>{inside}</channel></rss>'.encode()


def records(source: FeedSource, pages: list[Page]) -> list[dict[str, Any]]:
    found = [row for each in pages for row in source.parse(each)]
    assert all(isinstance(row, Record) for row in found), found
    return [dict(row.values) for row in found if isinstance(row, Record)]


def feed_source(world: LiveWorld, source_id: str = FEED.id) -> FeedSource:
    source = get_source(source_id, world.settings)
    assert isinstance(source, FeedSource)
    return source


# --- Formats -------------------------------------------------------------------------------------


def test_documented_rss_item_parses() -> None:
    (row,) = records(SOURCE, [page(RSS)])
    assert row["kind"] == "entry"
    assert row["record_id"] == "http://liftoff.example/2003/06/03.html#item573"
    assert row["event_at"] == datetime(2003, 6, 3, 7, 39, 21, tzinfo=UTC)
    assert row["available_at"] == NOON
    assert row["region"] == "GB"
    assert row["payload"] == {
        "title": "Star City & beyond",
        "url": "http://liftoff.example/news/2003/news-starcity.asp",
        "author": "lawyer@boyer.example (Lawyer Boyer)",
        "text": "How do Americans get ready?",
        "tags": ["Space", "Russia"],
        "language": "en",
        "category": "news",
        "dated": True,
    }


def test_documented_atom_entry_parses_and_its_link_is_resolved() -> None:
    (row,) = records(SOURCE, [page(ATOM, "application/atom%2Bxml")])
    assert row["record_id"] == "urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a"
    assert row["event_at"] == datetime(2003, 12, 13, 18, 30, 2, tzinfo=UTC)
    assert row["payload"]["title"] == "Atom-Powered Robots Run Amok"
    assert row["payload"]["text"] == "Some text."
    assert row["payload"]["url"] == "https://feeds.bbci.co.uk/2003/12/13/atom03"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('<?xml version="1.0" encoding="ISO-8859-1"?>{}', "application/rss%2Bxml"),
        ("{}", "application/rss%2Bxml;%20charset=iso-8859-1"),
        ("{}", "text/xml"),  # ASCII by the letter of RFC 3023
        ("{}", ""),
    ],
)
def test_encoding_comes_from_document_or_header(body: str, content_type: str) -> None:
    text = body.format(rss("<title>café</title><guid>1</guid>").decode())
    (row,) = records(SOURCE, [page(text.encode("iso-8859-1"), content_type)])
    assert row["payload"]["title"] == "café"


def test_feed_that_is_not_well_formed_is_read() -> None:
    body = rss("<title>a &nbsp; b</title><guid>1</guid>", "<title>c & d</title><guid>2</guid>")
    rows = records(SOURCE, [page(body)])
    assert [row["payload"]["title"] for row in rows] == ["a b", "c & d"]


def test_long_texts_are_cut_and_long_ids_hashed() -> None:
    item = f"<guid>{'g' * 5000}</guid><description>{'word ' * 5000}</description>"
    (row,) = records(SOURCE, [page(rss(item))])
    assert row["record_id"].startswith("sha256:")
    assert len(row["record_id"]) == 71
    assert len(row["payload"]["text"]) == 2000
    assert row["payload"]["title"] is None


def test_entry_without_an_id_goes_by_its_link() -> None:
    (row,) = records(SOURCE, [page(rss("<title>t</title><link>https://a.example/1</link>"))])
    assert row["record_id"] == "https://a.example/1"


# --- What is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("<title>t</title>", "link is not a text"),
        ("<guid>1</guid>", "neither title nor text"),
        ("<title>t</title><guid>1</guid><pubDate>yesterday</pubDate>", "published is not a time"),
        ("<title>t</title><guid>1</guid><pubDate>2026-01-11T12:01:00Z</pubDate>", "the future"),
        ("only words", "neither title nor text"),
    ],
)
def test_entry_that_does_not_fit_is_a_dead_letter(item: str, reason: str) -> None:
    good = "<title>t</title><guid>2</guid>"
    first, second = SOURCE.parse(page(rss(item, good)))
    assert isinstance(first, Rejected)
    assert reason in first.reason
    assert (first.kind, first.position) == ("entry", 0)
    assert isinstance(second, Record)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html><body>Please log in</body></html>", b"<rss><channel>", b"<a/>"]
)
def test_body_without_any_entry_that_is_no_feed_is_one_dead_letter(body: bytes) -> None:
    (row,) = SOURCE.parse(page(body))
    assert isinstance(row, Rejected)
    assert "not a feed" in row.reason


@pytest.mark.parametrize("content_type", ["application/rss%2Bxml", "text/html", ""])
def test_empty_feed_is_no_error(content_type: str) -> None:
    assert list(SOURCE.parse(page(rss(), content_type))) == []


@pytest.mark.parametrize("body", [b"http://127.0.0.1:9/feed", b"/etc/hostname", b"feed.xml"])
def test_parser_never_fetches_or_opens_what_a_body_names(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("the parser went to the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    (row,) = SOURCE.parse(page(body))
    assert isinstance(row, Rejected)
    assert row.payload == body.decode()


def test_entry_from_the_future_is_a_row_once_its_time_has_come() -> None:
    body = rss("<title>t</title><guid>1</guid><pubDate>2026-01-11T12:01:00Z</pubDate>")
    (early,) = SOURCE.parse(page(body))
    assert isinstance(early, Rejected)
    (row,) = records(SOURCE, [page(body, at=NOON + HOUR)])
    assert row["event_at"] == NOON + timedelta(minutes=1)


# --- Entries without a date ----------------------------------------------------------------------


def test_entry_without_a_date_has_one_key_at_every_look() -> None:
    body = rss("<title>t</title><guid>1</guid>", "<title>u</title><guid>2</guid>")
    looks = [NOON, NOON + HOUR, NOON - 30 * 24 * HOUR]
    keys = []
    for at in looks:
        rows = records(SOURCE, [page(body, at=at)])
        assert [row["payload"]["dated"] for row in rows] == [False, False]
        assert {row["available_at"] for row in rows} == {at}
        keys.append([(row["record_id"], row["event_at"]) for row in rows])
    assert keys[0] == keys[1] == keys[2]
    assert {event_at for _, event_at in keys[0]} == {UNDATED}


def test_undated_feed_of_the_world_keeps_its_keys_from_day_to_day(
    world: LiveWorld, day: Interval
) -> None:
    source = feed_source(world, "feed_hurriyet")
    later = Interval(day.end, day.end + 6 * HOUR)
    first, second = (records(source, fetch(source, each)) for each in (day, later))
    assert {row["event_at"] for row in first + second} == {UNDATED}
    both = {row["record_id"] for row in first} & {row["record_id"] for row in second}
    assert len(both) > 15  # what is still shown is the same row, not another one
    assert len({(row["record_id"], row["event_at"]) for row in first + second}) == len(
        {row["record_id"] for row in first + second}
    )


# --- Fetching ------------------------------------------------------------------------------------


@pytest.mark.parametrize("feed", load_feeds(), ids=lambda feed: feed.id)
def test_every_feed_of_the_list_is_read_from_the_world(
    world: LiveWorld, day: Interval, feed: Any
) -> None:
    source = FeedSource(world.settings, feed)
    pages = fetch(source, day)
    rows = records(source, pages)
    assert len(rows) == 30
    assert {row["region"] for row in rows} == {feed.region}
    assert all(row["payload"]["title"] and row["payload"]["text"] for row in rows)
    assert all(row["event_at"] <= row["available_at"] == day.end for row in rows)
    assert len({row["record_id"] for row in rows}) == 30


def test_unchanged_feed_is_not_sent_again(world: LiveWorld, day: Interval) -> None:
    source = feed_source(world)
    pages = fetch(source, day)
    cursor = source.next_cursor(day, None, pages)
    assert set(cursor["validators"]) == {"etag", "last-modified"}
    minute = Interval(day.end, day.end + timedelta(minutes=1))
    assert fetch(source, minute, cursor) == []
    moved = source.next_cursor(minute, cursor, [])
    assert moved["validators"] == cursor["validators"]
    assert moved["interval_end"] > cursor["interval_end"]


def test_changed_feed_is_sent_and_changes_the_validators(world: LiveWorld, day: Interval) -> None:
    source = feed_source(world)
    cursor = source.next_cursor(day, None, fetch(source, day))
    later = Interval(day.end, day.end + 3 * HOUR)
    pages = fetch(source, later, cursor)
    assert len(pages) == 1
    assert source.next_cursor(later, cursor, pages)["validators"] != cursor["validators"]


@pytest.mark.parametrize(
    ("source_id", "sent"),
    [
        ("feed_espn", {"last-modified"}),
        ("feed_motorsport_total", {"etag"}),
        ("feed_ansa", set()),
    ],
)
def test_any_validator_will_do(
    world: LiveWorld, day: Interval, source_id: str, sent: set[str]
) -> None:
    source = feed_source(world, source_id)
    cursor = source.next_cursor(day, None, fetch(source, day))
    assert set(cursor["validators"]) == sent
    minute = Interval(day.end, day.end + timedelta(minutes=1))
    assert len(fetch(source, minute, cursor)) == (0 if sent else 1)


def test_backfill_and_a_second_run_get_the_whole_feed(world: LiveWorld, day: Interval) -> None:
    source = feed_source(world, "feed_espn")
    first = fetch(source, day)
    cursor = source.next_cursor(day, None, first)
    assert fetch(source, day, cursor) == first
    earlier = Interval(day.start - 48 * HOUR, day.start - 24 * HOUR)
    pages = fetch(source, earlier, cursor)
    assert len(pages) == 1
    assert source.next_cursor(earlier, cursor, pages) == cursor


def test_feed_with_a_query_in_its_address_is_asked_with_it(world: LiveWorld, day: Interval) -> None:
    (found,) = fetch(feed_source(world, "feed_cna_asia"), day)
    assert "/www.channelnewsasia.com/api/v1/rss-outbound-feed?_format=xml#" in found.request


def test_faults_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = feed_source(world)
    clean = fetch(source, day)
    world.set_faults("503;times=1, truncate;times=2, cut;times=3")
    assert fetch(source, day) == clean


def test_feed_that_keeps_failing_stops_the_fetch(world: LiveWorld, day: Interval) -> None:
    world.set_faults("429;retry_after=0")
    with pytest.raises(ProviderError):
        fetch(feed_source(world), day)


@pytest.mark.parametrize("source_id", ["feed_bbc_world", "feed_polygon", "feed_hurriyet"])
def test_malformed_entries_become_dead_letters(
    world: LiveWorld, day: Interval, source_id: str
) -> None:
    world.set_faults("malformed;rows=5")
    source = feed_source(world, source_id)
    found = [row for each in fetch(source, day) for row in source.parse(each)]
    assert sum(isinstance(row, Rejected) for row in found) == 5
    assert len(found) == 30


def test_repeated_entries_share_their_key(world: LiveWorld, day: Interval) -> None:
    world.set_faults("duplicate;rows=4")
    source = feed_source(world)
    rows = records(source, fetch(source, day))
    assert len(rows) == 34
    assert len({(row["record_id"], row["event_at"]) for row in rows}) == 30


# --- Properties ----------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).map(escape)
DATES = st.sampled_from(
    ["Tue, 03 Jun 2003 09:39:21 GMT", "2003-12-13T18:30:02Z", "yesterday", "", "2 hours ago",
     "0000-00-00", "Mon, 32 Foo 99999 99:99:99 +9999"]
)  # fmt: skip
ITEMS = st.lists(
    st.tuples(
        st.sampled_from(["title", "guid", "link", "pubDate", "description", "category", "author"]),
        WORDS | DATES,
    ).map(lambda pair: "<{0}>{1}</{0}>".format(*pair)),
    max_size=6,
).map("".join)


@given(st.lists(ITEMS, max_size=4))
def test_parser_accounts_for_every_entry(items: list[str]) -> None:
    found = list(SOURCE.parse(page(rss(*items))))
    assert len(found) == len(items)
    for row in found:
        if isinstance(row, Record):
            assert row.values["record_id"].strip()
            assert row.values["event_at"].tzinfo is not None


PIECES = st.sampled_from(
    [b"<rss version='2.0'>", b"<channel>", b"<item>", b"</item>", b"<title>", b"<![CDATA[", b"]]>",
     b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"&nbsp;", b"&#0;", b"&#xD800;", b"<!--", b"<![",
     b"<feed xmlns='http://www.w3.org/2005/Atom'>", b"<entry>", b"<id>", b"<updated>", b"\x00",
     b"<?xml version='1.0' encoding='utf-7'?>", b"<a href='http://[::1'>", b"<source url='//['>"]
) | st.binary(max_size=6)  # fmt: skip


@given(
    st.lists(PIECES, max_size=20).map(b"".join) | st.binary(),
    st.sampled_from(["", "text/xml", "application/rss%2Bxml;%20charset=utf-16", "text/html", "x"]),
)
def test_parser_never_raises_on_any_body(body: bytes, content_type: str) -> None:
    for row in SOURCE.parse(page(body, content_type)):
        assert isinstance(row, Record | Rejected)

"""Values, times and keys as Feast writes them."""

from __future__ import annotations

import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from ml.serving.layouts import Layout, Row, decode, event_time

AT = datetime(2030, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def protos():
    from feast.protos.feast.types import Value_pb2
    from google.protobuf.timestamp_pb2 import Timestamp

    return Value_pb2, Timestamp


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("double_val", 0.0),
        ("double_val", -1.5),
        ("int64_val", 0),
        ("int64_val", 127),
        ("int64_val", 128),
        ("int64_val", -3),
        ("int64_val", 2**60),
        ("bool_val", False),
        ("bool_val", True),
        ("string_val", "日本語"),
        ("string_val", ""),
        ("float_val", 0.5),
    ],
)
def test_a_value_is_read_as_it_was_written(protos, field, value):
    values, _ = protos
    assert decode(values.Value(**{field: value}).SerializeToString()) == value


def test_a_text_is_read_without_the_seconds_that_feast_takes_to_import():
    """In a process of its own, as a worker of the API that found its layouts on disk."""
    code = (
        "import sys; from ml.serving.layouts import decode; "
        "assert decode(bytes([0x12, 2]) + b'de') == 'de'; print('feast' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_nothing_and_null_are_none(protos):
    values, _ = protos
    assert decode(None) is None
    assert decode(b"") is None
    assert decode(values.Value(null_val=values.NULL).SerializeToString()) is None


@pytest.mark.parametrize("seconds", [1, 127, 128, 1_780_000_000])
def test_an_event_time_is_read_as_it_was_written(protos, seconds):
    _, timestamp = protos
    written = timestamp(seconds=seconds, nanos=5).SerializeToString()
    assert event_time(written) == datetime.fromtimestamp(seconds, UTC)


def row(cells, protos):
    _, timestamp = protos
    layout = Layout(
        source="service",
        join_key="video_id",
        names=("views", "likes"),
        fields=(b"aaaa", b"bbbb", b"_ts:moving"),
        views=(("moving", timedelta(days=3)),),
        required=(("views", 0),),
        head=b"<",
        tail=b">",
    )
    return Row(layout, "v", (*cells, timestamp(seconds=int(AT.timestamp())).SerializeToString()))


def test_a_required_feature_without_a_value_is_missing(protos):
    number = struct.pack("<Bd", 0x29, 2.0)
    assert row((number, None), protos).missing(AT) == []
    assert row((None, number), protos).missing(AT) == ["views"]


def test_a_view_beyond_its_time_to_live_is_missing(protos):
    number = struct.pack("<Bd", 0x29, 2.0)
    (reason,) = row((number, number), protos).missing(AT + timedelta(days=4))
    assert reason.startswith("moving")
    assert row((number, number), protos).missing(AT + timedelta(days=2)) == []


def test_a_command_is_redis_protocol(protos):
    layout = row((b"", b""), protos).layout
    key = b"<" + struct.pack("<I", 2) + b"ab>"
    assert layout.command("ab") == (
        b"*5\r\n$5\r\nHMGET\r\n$8\r\n" + key + b"\r\n"
        b"$4\r\naaaa\r\n$4\r\nbbbb\r\n$10\r\n_ts:moving\r\n"
    )

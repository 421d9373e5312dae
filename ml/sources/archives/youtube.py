"""What the YouTube archives have in common: the attributes of a video, under any column name."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ml.sources.archives.columns import Columns

VIDEO_ID = r"[A-Za-z0-9_-]{11}"
DESTROYED_ID = r"#(?:NAME|VALUE|REF|N/A|DIV/0)[?!]?"
_INT32 = 2**31 - 1


def video_id(columns: Columns) -> pa.Array:
    """The ids; spreadsheets turned those that look like a formula into `#NAME?`."""
    ids = columns.text("video_id")
    destroyed = pc.match_substring_regex(ids, rf"^\s*{DESTROYED_ID}\s*$")
    columns.reject(destroyed, "video_id was destroyed by a spreadsheet")
    return columns.word("video_id", pattern=rf"^{VIDEO_ID}$", what="is not 11 characters of an id")


def attributes(columns: Columns, tag_separator: str) -> dict[str, pa.Array]:
    """The columns that describe a video and do not change from day to day."""
    return {
        "title": pc.fill_null(columns.text("title"), ""),
        "channel_id": columns.text("channel_id", "channelid"),
        "channel_title": columns.text("channel_title", "channeltitle"),
        "category_id": columns.count("category_id", "categoryid", most=_INT32),
        "published_at": columns.time("published_at", "publish_time", "publishedat"),
        "tags": _tags(columns.text("tags"), tag_separator),
        "language": _language(columns),
        "duration_s": columns.seconds("duration"),
        "made_for_kids": columns.flag("made_for_kids"),
    }


def rank(columns: Columns, name: str) -> pa.Array:
    """A place in a chart; null where the archive has none."""
    return columns.count(name, most=_INT32)


def hide_zero(counts: pa.Array) -> pa.Array:
    """The lists since 2025 write 0 for a count that the channel hides."""
    return pc.if_else(pc.equal(counts, 0), pa.scalar(None, counts.type), counts)


def _language(columns: Columns) -> pa.Array:
    codes = pc.coalesce(columns.text("default_language"), columns.text("audio_language"))
    known = pc.invert(pc.is_in(codes, pa.array(["und", "zxx"])))
    return pc.if_else(known, codes, pa.scalar(None, pa.string()))


def _tags(values: pa.Array, separator: str) -> pa.Array:
    """Lists of tags; null for none. Old archives quote some tags and write `[none]`."""
    clean = pc.replace_substring_regex(values, rf"\s*(?:[{separator}]\s*)+", separator)
    clean = pc.utf8_trim(clean, f"{separator} ")
    empty = pc.match_substring_regex(clean, r"^(?i:\[none\])?$")
    lists = pc.split_pattern(pc.if_else(empty, pa.scalar(None, pa.string()), clean), separator)
    tags = pc.replace_substring_regex(lists.values, r'^"(.*)"$', r"\1")
    return pa.ListArray.from_arrays(lists.offsets, tags, mask=pc.is_null(lists))

"""What was uploaded to the own channel: the one thing that the world has to remember.

It is kept in a JSON file, if there is a folder for it, so that a restarted server still has it; of
a video's bytes only the length is.
"""

from __future__ import annotations

import base64
import io
import json
import struct
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ml.world import noise
from ml.world.clock import moment
from ml.world.viewers import Reception, reception

# Words that this platform's moderation does not let pass, and what it then says.
_FORBIDDEN = {
    "free money": "termsOfUse", "miracle cure": "termsOfUse", "full movie": "copyright",
}  # fmt: skip
_STRIKE_H = 90 * 24.0
_FRAGMENT = 1 << 20


@dataclass
class Upload:
    """One upload, under way or complete.

    Attributes:
        session: id of the resumable session that it came by.
        size: bytes promised.
        received: bytes that came.
        resource: the parts of the video resource that the client has set.
        completed: when the last byte came, in hours since the world's start.
        contrast: of its thumbnail, as the standard deviation of its grey values, 0 to 1.
    """

    video_id: str
    session: str
    size: int
    resource: dict[str, Any]
    received: int = 0
    completed: float | None = None
    length_s: float = 0.0
    contrast: float | None = None
    captions: list[dict[str, Any]] = field(default_factory=list)
    rejection: str | None = None

    @property
    def text(self) -> str:
        """Its words, the title first."""
        snippet = self.resource.get("snippet", {})
        tags = " ".join(snippet.get("tags", ()))
        return f"{snippet.get('title', '')}\n{snippet.get('description', '')}\n{tags}"

    @property
    def published(self) -> float | None:
        """When it is public from on, in hours since the world's start; None if it never is."""
        status = self.resource.get("status", {})
        if self.completed is None or self.rejection is not None:
            return None
        if at := status.get("publishAt"):
            return max(hours_since_start(at), self.completed)
        return self.completed if status.get("privacyStatus", "public") != "private" else None

    def is_public(self, hours: float) -> bool:
        """Whether everybody sees it at a time."""
        return self.published is not None and self.published <= hours


def hours_since_start(text: str) -> float:
    """An ISO 8601 time in hours since the world's start.

    Raises:
        ValueError: if it is none, or has no zone.
    """
    from datetime import datetime

    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return (at - moment(0)).total_seconds() / 3600.0


class Uploads:
    """All uploads of a world."""

    def __init__(self, seed: int, folder: Path | None = None) -> None:
        self._seed = seed
        self._file = folder / "uploads.json" if folder else None
        self._folder = folder
        self._all: dict[str, Upload] = {}
        self._heads: dict[str, bytes] = {}
        self.reporting_since: float | None = None  # when the job of daily reports was created
        if self._file and self._file.is_file():
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self.reporting_since = kept["reporting_since"]
            self._all = {row["video_id"]: Upload(**row) for row in kept["uploads"]}

    def start(self, size: int, resource: dict[str, Any]) -> Upload:
        """Open a session."""
        number = len(self._all)
        raw = noise.mix(noise.stream_key(self._seed, f"upload:id:{number}")).to_bytes(8)
        video_id = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        session = f"{noise.stream_key(self._seed, f'upload:session:{number}'):016x}"
        made = self._all[video_id] = Upload(video_id, session, size, resource)
        self.save()
        return made

    def of_session(self, session: str) -> Upload | None:
        """The upload of a session."""
        return next((each for each in self._all.values() if each.session == session), None)

    def get(self, video_id: str) -> Upload | None:
        """A complete upload."""
        found = self._all.get(video_id)
        return found if found is not None and found.completed is not None else None

    def complete(self) -> list[Upload]:
        """Complete uploads, the newest first."""
        done = [each for each in self._all.values() if each.completed is not None]
        return sorted(done, key=lambda each: -(each.completed or 0.0))

    def receive(self, upload: Upload, data: bytes, hours: float) -> None:
        """Take bytes that follow those that came."""
        # The length of an MP4 stands in its `mvhd` box, which is at one of its ends.
        known = self._heads.get(upload.session, b"")
        self._heads[upload.session] = known[:_FRAGMENT] + (known[_FRAGMENT:] + data)[-_FRAGMENT:]
        upload.received += len(data)
        if upload.received >= upload.size:
            upload.completed = hours
            upload.length_s = movie_length(self._heads.pop(upload.session))
            lowered = upload.text.lower()
            upload.rejection = next(
                (reason for words, reason in _FORBIDDEN.items() if words in lowered), None
            )
        self.save()

    def set_thumbnail(self, upload: Upload, data: bytes) -> None:
        """Look at a thumbnail.

        Raises:
            ValueError: if it is no picture.
        """
        upload.contrast = contrast(data)
        self.save()

    def has_strike(self, hours: float) -> bool:
        """Whether the channel is not in good standing: a video was rejected in the last 90 days."""
        return any(
            each.rejection and hours - (each.completed or 0.0) < _STRIKE_H
            for each in self._all.values()
        )

    def reception(self, upload: Upload) -> Reception | None:
        """How it does with viewers; None before it is out."""
        if upload.published is None:
            return None
        return _reception(
            self._seed, int(upload.session, 16) >> 1, upload.text, upload.published,
            upload.length_s, upload.contrast,
        )  # fmt: skip

    def save(self) -> None:
        """Write the file; it is whole or the one before."""
        if self._file is None or self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_name(".uploads.json")
        rows = [asdict(each) for each in self._all.values()]
        kept = {"reporting_since": self.reporting_since, "uploads": rows}
        partial.write_text(json.dumps(kept), encoding="utf-8")
        partial.replace(self._file)


@lru_cache(maxsize=256)
def _reception(*about: Any) -> Reception:
    return reception(*about)


def movie_length(data: bytes) -> float:
    """Seconds that an MP4 lasts, by its movie header (ISO 14496-12, 8.2.2); 0 without one."""
    at = data.find(b"mvhd")
    if at < 0 or len(data) < at + 32:
        return 0.0
    layout, skip = (">IQ", 24) if data[at + 4] == 1 else (">II", 16)
    scale, length = struct.unpack_from(layout, data, at + skip)
    return length / scale if scale else 0.0


def contrast(data: bytes) -> float:
    """Standard deviation of a picture's grey values, 0 to 1.

    Raises:
        ValueError: if it is no picture.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            grey = np.asarray(image.convert("L").resize((160, 90)), dtype=np.float64)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError("it is no picture") from error
    return float(grey.std() / 255.0)

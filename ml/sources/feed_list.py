"""The list of feeds: data, checked when it is read."""

from __future__ import annotations

from collections import Counter
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ml.exceptions import ConfigurationError

OURS = Path(__file__).with_name("feeds.yaml")
Category = Literal["news", "technology", "science", "sports", "entertainment", "gaming", "business"]


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("not an http address")
    return text


Address = Annotated[str, AfterValidator(_address)]


class Feed(BaseModel):
    """A feed, as `feeds.yaml` describes its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^feed_[a-z0-9_]{1,55}$")
    url: Address
    title: str = Field(min_length=1)
    language: str = Field(pattern=r"^[a-z]{2}$")
    region: str = Field(pattern=r"^[A-Z]{2}$")
    category: Category
    homepage: Address
    found_at: Address
    verified_at: date | None = None


def load_feeds(path: Path | None = None) -> tuple[Feed, ...]:
    """Read a list of feeds; the shipped one if no other is given.

    Raises:
        ConfigurationError: in one line, naming each entry and field that is wrong.
    """
    chosen = path or OURS
    try:
        return _load(chosen, chosen.stat().st_mtime_ns)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the list of feeds {chosen}: {error.strerror}; set YTEMPIRE_FEEDS to one"
            " that is there, or unset it for the shipped one"
        ) from None


@lru_cache(maxsize=8)
def _load(path: Path, _changed: int) -> tuple[Feed, ...]:
    try:
        entries = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{path} is not YAML: {reason}") from None
    if not isinstance(entries, list):
        raise ConfigurationError(f"{path} must be a list of feeds")
    feeds: list[Feed] = []
    wrong: list[str] = []
    for position, entry in enumerate(entries, start=1):
        try:
            feeds.append(Feed.model_validate(entry))
        except ValidationError as error:
            wrong += _lines(error, _name(entry, position))
    for name in ("id", "url"):
        counted = Counter(getattr(feed, name) for feed in feeds)
        wrong += [f"{name} {value} is there {n} times" for value, n in counted.items() if n > 1]
    if wrong:
        raise ConfigurationError(f"{path}: {'; '.join(wrong)}")
    return tuple(feeds)


def _name(entry: Any, position: int) -> str:
    known = entry.get("id") if isinstance(entry, dict) else None
    return f"entry {position} ({known})" if known else f"entry {position}"


def _lines(error: ValidationError, name: str) -> list[str]:
    return [
        ": ".join([name, *(str(part) for part in item["loc"]), item["msg"]])
        for item in error.errors()
    ]

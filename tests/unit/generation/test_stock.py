"""Photographs over the wire, in the simulated world."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from ml.exceptions import ProviderError, SourceUnavailableError
from ml.generation import drawing, stock
from ml.generation.artifacts import LocalStore
from ml.generation.brief import ChannelBrief, VideoBrief
from ml.generation.stills import Stills
from ml.generation.stock import LIBRARIES, Photo, grounds
from ml.settings import Settings

HOSTS = ("api.pexels.com", "images.pexels.com", "pixabay.com")


@pytest.fixture(autouse=True)
def no_real_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PEXELS_API_KEY", "PIXABAY_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(world_url: str, world_key: SecretStr) -> Settings:
    return Settings(
        world_url=world_url,
        world_key=world_key,
        provider_urls={host: f"{world_url}/{host}" for host in HOSTS},
        llm_timeout_s=2.0,
        database_url=None,
    )


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def asked(settings, store, monkeypatch):
    """A library whose waits are over at once, and the waits."""

    def make(name: str):
        library = LIBRARIES[name](settings, store)
        library.waits = []
        library.sleep = library.waits.append
        return library

    return make


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("upright", [False, True])
def test_pictures_of_the_asked_shape_come_with_their_maker(asked, name, upright):
    library = asked(name)
    photos = library.search("chess opening", upright=upright)
    assert len({photo.number for photo in photos}) > 10
    assert photos[0].author in photos[0].credit
    assert photos[0].page in photos[0].credit
    image = library.fetch(photos[0])
    assert (image.height > image.width) == upright


def test_every_scene_has_another_picture_and_a_library_without_a_key_is_not_asked(
    settings, store, world_key
):
    found = grounds({0: "chess", 2: "chess", 3: "a board"}, settings, store, upright=False)
    assert sorted(found.images) == [0, 2, 3]
    assert {photo.provider for photo in found.photos.values()} == {"pexels"}
    assert len({photo.number for photo in found.photos.values()}) == 3
    nobody = Settings(world_url=None, provider_urls={}, database_url=None)
    assert grounds({0: "chess"}, nobody, store, upright=False) == stock.Grounds({}, {}, [])


def test_the_next_library_is_asked_for_what_the_first_did_not_give(settings, store, faults):
    faults("401;path=pexels")
    found = grounds({0: "chess"}, settings, store, upright=False)
    assert found.photos[0].provider == "pixabay"
    assert "check YTEMPIRE_WORLD_KEY" in found.failures[0]


def test_without_any_answer_grounds_are_drawn_and_it_is_said_why(
    settings, store, faults, monkeypatch
):
    monkeypatch.setattr(stock.time, "sleep", lambda _: None)
    faults("500")
    found = grounds({0: "chess"}, settings, store, upright=False)
    assert found.images == {}
    assert [line.split(":")[0] for line in found.failures] == ["pexels", "pixabay"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_an_answer_is_kept_for_a_day_and_its_words_have_one_case(asked, faults, monkeypatch, name):
    first = asked(name).search("Chess", upright=False)
    faults("500")
    assert asked(name).search("chess", upright=False) == first
    with pytest.raises(ProviderError):
        asked(name).search("chess", upright=True)
    now = stock.time.time()
    monkeypatch.setattr(stock.time, "time", lambda: now + 86_401)
    with pytest.raises(ProviderError):
        asked(name).search("chess", upright=False)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("fault", ["500", "truncate", "slow;seconds=4"])
def test_what_may_pass_is_tried_three_times_and_no_message_has_the_key(
    asked, faults, world_key, caplog, name, fault
):
    caplog.set_level(logging.DEBUG)
    library = asked(name)
    library._settings = library._settings.model_copy(update={"llm_timeout_s": 0.3})
    faults(fault)
    with pytest.raises(ProviderError) as caught:
        library.search("chess", upright=False)
    assert len(library.waits) == 2
    told = str(caught.value) + "".join(r.getMessage() for r in caplog.records if "httpx" in r.name)
    assert world_key.get_secret_value() not in told


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_refused_key_is_not_tried_again(asked, faults, world_key, name):
    library = asked(name)
    faults("401")
    with pytest.raises(SourceUnavailableError, match="check YTEMPIRE_WORLD_KEY") as caught:
        library.search("chess", upright=False)
    assert library.waits == []
    assert world_key.get_secret_value() not in str(caught.value)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_429_is_waited_for_and_broken_answers_are_refused(asked, faults, name):
    library = asked(name)
    faults("429;times=2;retry_after=3")
    photos = library.search("chess", upright=False)
    assert library.waits == [3.0, 3.0]
    faults("malformed")
    with pytest.raises(ProviderError, match="broken answer"):
        library.search("other words", upright=False)
    with pytest.raises(ProviderError, match="is no picture"):
        library.fetch(photos[0])


def test_a_file_that_lies_elsewhere_is_not_fetched(asked):
    for file in ("http://127.0.0.1/secret", "https://evil.example/x.jpg", "file:///etc/passwd"):
        photo = Photo("pexels", "1", "A", "https://www.pexels.com/photo/1/", file, "l")
        with pytest.raises(SourceUnavailableError, match="elsewhere"):
            asked("pexels").fetch(photo)


@pytest.mark.parametrize("color", [(255, 255, 255), (130, 130, 130), (0, 0, 0)])
def test_white_text_can_be_read_on_any_photograph(color):
    brief = VideoBrief(
        video_id="v", channel=ChannelBrief(channel_id="c", name="Trend Lab"), topic="Chess",
        as_of=datetime(2026, 5, 31, tzinfo=UTC),
    )  # fmt: skip
    photo = Image.new("RGB", (1600, 900), color)
    ground = Stills(brief, {1: photo}).background(1)
    lightest = tuple(int(value) for value in np.asarray(ground).reshape(-1, 3).max(axis=0))
    assert drawing.contrast(drawing.WHITE, lightest) >= drawing.MIN_CONTRAST
    assert ground.size == Stills(brief).background(0).size


def test_a_huge_answer_is_not_read_to_its_end(asked, monkeypatch):
    library = asked("pexels")
    photo = library.search("chess", upright=False)[0]
    monkeypatch.setattr(stock, "_MOST_BYTES", 1000)
    with pytest.raises(SourceUnavailableError, match="too large"):
        library.fetch(photo)

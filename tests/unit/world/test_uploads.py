"""Our uploader, on Google's own client, against the world's uploads, byte by byte."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from pydantic import SecretStr

from ml.exceptions import FatalError, ProviderError, QuotaExceededError, SourceUnavailableError
from ml.publishing import upload
from ml.publishing.reach import REPORT_TYPE, _download, _reports, read
from ml.publishing.upload import Film
from ml.publishing.youtube_client import UPLOADS, AccountSuspendedError, YouTube, _credentials
from ml.settings import Settings
from ml.sources.quota import MemoryMeter
from ml.sources.youtube_data import UNITS
from ml.world.uploads import movie_length
from ml.world.viewers import interest, picture_appeal, reception, title_appeal

KEY = "wire-key"
START = datetime(2026, 1, 20, 12, tzinfo=UTC)
CHUNK = 256 * 1024
SEED = 7


@pytest.fixture
def settings(live_world, monkeypatch) -> Settings:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url = live_world(world_start=START, world_seed=SEED)
    return Settings(world_url=url, world_key=SecretStr(KEY), sources_from="world")


@pytest.fixture
def meter() -> MemoryMeter:
    return MemoryMeter(lambda: START)


@pytest.fixture
def youtube(settings, meter) -> YouTube:
    return YouTube(settings, KEY, meter)


@pytest.fixture
def film(tmp_path) -> Film:
    (tmp_path / "video.mp4").write_bytes(bytes(range(256)) * 3000)
    Image.new("RGB", (1280, 720), "navy").save(tmp_path / "thumbnail.jpg")
    (tmp_path / "captions.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHi.\n")
    files = {path.name: path for path in tmp_path.iterdir() if path.is_file()}
    return Film(
        video_id="v-1", title="Chess endgame tricks in 10 minutes", description="About <chess>.",
        tags=("chess", "two words"), category_id="20", language="en", privacy="public",
        publish_at=None, files=files,
    )  # fmt: skip


def send(youtube, film, session=None, keep=lambda address: None, *, was_started=False):
    return upload.upload_video(
        youtube, film, session, keep, was_started=was_started, chunk_bytes=CHUNK
    )


def test_a_film_with_its_thumbnail_and_captions(youtube, film, meter):
    found = send(youtube, film)
    upload.set_thumbnail(youtube, found["id"], film.files["thumbnail.jpg"])
    for _ in range(2):  # a second track of the same language is taken for the first
        upload.add_captions(youtube, found["id"], film.files["captions.srt"], "en")
    listing = youtube.data.videos().list(part="snippet,status,statistics", id=found["id"])
    (item,) = youtube.call(listing, 1)["items"]
    assert item["snippet"]["tags"] == ["ytempire v-1", "chess", "two words"]
    assert item["snippet"]["description"] == "About (chess)."
    assert item["status"]["uploadStatus"] == "processed"
    assert item["status"]["containsSyntheticMedia"] is True
    assert meter.left(UPLOADS, START) == 99
    assert meter.left(UNITS, START) == 10_000 - 50 - 2 * 400 - 1


def test_an_interrupted_upload_goes_on_in_its_session(youtube, film, settings, meter):
    sessions = []

    class KilledError(Exception):
        pass

    def die(address: str) -> None:
        sessions.append(address)
        raise KilledError

    with pytest.raises(KilledError):
        send(youtube, film, keep=die)
    # What another worker had sent by the time it died.
    data = film.files["video.mp4"].read_bytes()
    headers = {"Content-Range": f"bytes 0-{CHUNK - 1}/{len(data)}"}
    http = youtube.data._http
    response, _ = http.request(sessions[0], method="PUT", body=data[:CHUNK], headers=headers)
    assert (response.status, response["range"]) == (308, f"bytes=0-{CHUNK - 1}")
    made = send(YouTube(settings, KEY, meter), film, sessions[0], was_started=True)
    # Asked once more, the session names the same video; so does the search for its tag.
    assert send(youtube, film, sessions[0], was_started=True)["id"] == made["id"]
    assert send(youtube, film, sessions[0] + "0", was_started=True)["id"] == made["id"]
    assert meter.left(UPLOADS, START) == 99


def test_a_channel_without_uploads_has_none_that_could_be_found(youtube):
    assert upload.find_uploaded(youtube, upload.mark_of("v-1")) is None


def test_an_access_token_is_asked_for_what_was_granted():
    """The owner may leave out scopes that we can do without; Google refuses more than it gave."""
    real = Settings(
        sources_from="providers",
        youtube_client_id="id",
        youtube_client_secret=SecretStr("secret"),
    )
    assert _credentials(real, "token").scopes is None


def test_a_session_that_never_was_is_opened_anew(youtube, film, settings):
    gone = f"{settings.provider_url('https://youtube.googleapis.com/upload/youtube/v3/videos')}?upload_id=no"
    assert send(youtube, film, gone, was_started=True)["id"]


def test_refusals_have_our_names(settings, youtube, film, meter, live_world):
    with pytest.raises(SourceUnavailableError, match="ytempire auth youtube"):
        send(YouTube(settings, "revoked", meter), film)
    with pytest.raises(FatalError, match="invalidTitle"):
        send(youtube, Film(**{**vars(film), "title": " "}))
    for plan, error in (
        ("quota;path=upload/", QuotaExceededError), ("500;path=upload/", ProviderError),
        ("401;path=upload/", SourceUnavailableError), ("suspended", AccountSuspendedError),
    ):  # fmt: skip
        url = live_world(world_start=START, world_faults=plan)
        other = settings.model_copy(update={"world_url": url})
        with pytest.raises(error):
            send(YouTube(other, KEY, meter), film)
    meter.spend(UPLOADS, meter.left(UPLOADS, START), START)
    with pytest.raises(QuotaExceededError):
        send(youtube, film)


def test_a_scheduled_film_is_private_until_its_time(youtube, film):
    at = START + timedelta(hours=5)
    found = send(youtube, Film(**{**vars(film), "publish_at": at}))
    assert found["status"]["privacyStatus"] == "private"
    assert found["status"]["publishAt"] == "2026-01-20T17:00:00Z"
    upload.hide(youtube, found["id"])
    listing = youtube.data.videos().list(part="status", id=found["id"])
    (item,) = youtube.call(listing, 1)["items"]
    assert item["status"]["privacyStatus"] == "private"
    assert "publishAt" not in item["status"]


def test_what_moderation_does_not_like_is_rejected_and_costs_the_standing(youtube, film):
    assert upload.standing(youtube) == []
    found = send(youtube, Film(**{**vars(film), "title": "Get free money now"}))
    listing = youtube.data.videos().list(part="status", id=found["id"])
    (item,) = youtube.call(listing, 1)["items"]
    assert item["status"]["rejectionReason"] == "termsOfUse"
    assert "communityGuidelinesGoodStanding" in upload.standing(youtube)


def test_daily_reports_tell_how_often_a_thumbnail_was_shown(live_world, settings, youtube, film):
    found = send(youtube, film)
    body = {"reportTypeId": REPORT_TYPE, "name": "reach"}
    youtube.call(youtube.reporting.jobs().create(body=body))
    (job,) = youtube.call(youtube.reporting.jobs().list())["jobs"]
    none_yet = youtube.reporting.jobs().reports().list(jobId=job["id"])
    assert youtube.call(none_yet) == {}
    url = live_world(world_start=START + timedelta(days=5), world_seed=SEED)
    later = YouTube(settings.model_copy(update={"world_url": url}), KEY, MemoryMeter(lambda: START))
    listing = (
        later.reporting.jobs()
        .reports()
        .list(jobId=job["id"], startTimeAtOrAfter="2026-01-20T08:00:00Z")
    )
    reports = later.call(listing)["reports"]
    assert [report["startTime"] for report in reports] == [
        "2026-01-22T08:00:00Z", "2026-01-21T08:00:00Z", "2026-01-20T08:00:00Z",
    ]  # fmt: skip
    rows = [row for report in reports for row in read(_download(later.reporting, report))]
    assert {row["external_id"] for row in rows} == {found["id"]}
    shown = [row["impressions"] for row in rows]
    assert shown == sorted(shown)  # the newest report comes first, and interest fades
    everything = _reports(later, later.reporting, {"jobId": job["id"]})
    assert len(everything) == 33  # more than a page: 30 days before the job, and three after
    assert [each["id"] for each in everything][-1] == "2026-01-22"
    assert all(0 < row["clicks"] < row["impressions"] for row in rows)
    with pytest.raises(ProviderError, match="not as documented"):
        read("date,video_id\n20260120,x\n")


def test_viewers_react_to_topic_title_and_thumbnail():
    hours = 470.0
    nothing = interest(SEED, "qwertz", hours)
    assert max(interest(SEED, word, hours) for word in ("Minecraft", "Chess", "Roblox")) > nothing
    assert title_appeal("10 chess endgame tricks for everybody") > title_appeal("CHESS!!!")
    assert picture_appeal(0.3) > picture_appeal(0.05) > picture_appeal(None) - 0.01
    liked = reception(SEED, 5, "Chess endgame tricks", hours, 60, 0.3)
    again = reception(SEED, 5, "Chess endgame tricks", hours, 60, 0.3)
    assert liked == again
    counted = [liked.at(hours + after)["views"] for after in (0, 1, 24, 168)]
    assert counted == sorted(counted)
    assert counted[0] == 0 < counted[1] < counted[3]


def test_a_film_too_wordy_for_youtube_is_cut(film):
    long = Film(**{**vars(film), "title": "x" * 300, "description": "é" * 4000,
                   "tags": ("t" * 40,) * 30})  # fmt: skip
    snippet = long.resource()["snippet"]
    assert len(snippet["title"]) == 100
    assert len(snippet["description"].encode()) <= 5000
    assert sum(len(tag) + 3 for tag in snippet["tags"]) <= 500 + 3


def test_the_length_of_a_film_is_read_from_its_header():
    header = b"mvhd" + bytes(4) + bytes(8) + (600).to_bytes(4, "big") + (1500).to_bytes(4, "big")
    assert movie_length(b"...." + header + bytes(80)) == 2.5
    assert movie_length(io.BytesIO(b"none").getvalue()) == 0.0


def test_uploads_outlive_a_restart(live_world, settings, youtube, film, tmp_path: Path):
    found = send(youtube, film)
    url = live_world(world_start=START, world_seed=SEED)  # the same state folder
    other = YouTube(settings.model_copy(update={"world_url": url}), KEY, MemoryMeter(lambda: START))
    listing = other.data.videos().list(part="snippet", id=found["id"])
    assert other.call(listing, 1)["items"][0]["snippet"]["title"] == film.title

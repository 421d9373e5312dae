"""Videos go to YouTube once and come down again: Google's own client, our database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import compress
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import imageio_ffmpeg
import pytest
from PIL import Image

from ml.exceptions import (
    FatalError,
    ProviderError,
    QuotaExceededError,
    SourceUnavailableError,
)
from ml.generation.artifacts import sha256_of
from ml.generation.records import content_store
from ml.planning.channels import ChannelConfig, list_channels, put_channels, set_active
from ml.publishing.consent import ask
from ml.publishing.credentials import refresh_token, save_token
from ml.publishing.metrics import collect_metrics
from ml.publishing.reach import collect_reach
from ml.publishing.release import RejectedUploadError, owner, release, unpublish
from ml.publishing.youtube_client import AccountSuspendedError
from ml.settings import Settings
from ml.sources.youtube_data import PACIFIC
from ml.storage.postgres import connect
from ml.storage.quotas import LedgerMeter

CHANNEL = ChannelConfig(channel_id="tube", name="Tube", publisher="youtube")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Real files, the video 2 s long and more than two chunks."""
    folder = tmp_path_factory.mktemp("film")
    film = folder / "video.mp4"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i",
         "testsrc2=s=320x180:d=2", "-pix_fmt", "yuv420p", str(film)],
        check=True,
    )  # fmt: skip
    with film.open("ab") as file:  # a `free` box: bytes that mean nothing
        file.write((2_600_000).to_bytes(4, "big") + b"free" + bytes(2_600_000 - 8))
    picture = Image.new("L", (1280, 720))
    picture.paste(255, (0, 0, 640, 720))
    picture.convert("RGB").save(folder / "thumbnail.jpg")
    (folder / "captions.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello.\n")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def tube(settings: Settings, world, tmp_path_factory) -> Settings:
    # The uploads of all these tests are more than a day's.
    world.app.state.world.daily_quota = 1_000_000
    with connect(settings.require("database_url")) as conn:
        put_channels(conn, [CHANNEL])
    return settings.model_copy(
        update={
            "youtube_upload_chunk_mib": 1,
            "outbox_dir": tmp_path_factory.mktemp("outbox"),
            "clock": "wall",
        }
    )


@pytest.fixture
def approve(tube, files, tmp_path):
    """Puts a video that passed the gate into the database and the bucket."""

    def put(video_id: str, title: str = "Chess endgame tricks that win 9 of 10 games") -> str:
        script = tmp_path / "script.json"
        about = {"description": f"About <{title}>.", "tags": ["chess", "endgame"]}
        script.write_text(json.dumps({"seo_metadata": about}))
        manifest = tmp_path / "manifest.json"
        manifest.write_text(json.dumps({"credits": ["Photo by Mara Lind on Pexels: https://p/1"]}))
        store, listed = content_store(tube), {}
        told = {"script.json": script, "manifest.json": manifest}
        for name, path in {**files, **told}.items():
            key = f"outbox/{video_id}/{name}"
            store.put_file(key, path)
            listed[name] = {"key": key, "sha256": sha256_of(path), "bytes": path.stat().st_size}
        with connect(tube.require("database_url")) as conn:
            conn.execute(
                "insert into content.video_schedule (video_id, channel_id, topic_id, topic, as_of,"
                " publish_at, forecast, score, model_name, model_version, reasons, brief, status)"
                " values (%s, 'tube', %s, 't', '2026-01-01Z', '2026-01-01Z', 1, 1, 'm', '1.0.0',"
                " '{}', '{}', 'generating')",
                (video_id, video_id),
            )
            conn.execute(
                "insert into content.videos (video_id, channel_id, topic_id, topic, title, verdict,"
                " scores, duration_s, files) values (%s, 'tube', 't', 't', %s, 'approved', '{}', 2,"
                " %s)",
                (video_id, title, json.dumps(listed)),
            )
        return video_id

    return put


@pytest.fixture
def faults(tube):
    """Another fault plan for the world, until the test ends."""
    keeper = {"Authorization": f"Bearer {tube.require('world_key')}"}

    def put(plan: str) -> None:
        address = f"{tube.world_url}/admin/faults"
        httpx.put(address, content=plan, headers=keeper, trust_env=False).raise_for_status()

    yield put
    put("")


@pytest.fixture(scope="module")
def uploads(world):
    return world.app.state.world.uploads


def row(tube: Settings, query: str) -> tuple:
    with connect(tube.require("database_url")) as conn:
        return conn.execute(query).fetchone()


def test_a_video_is_uploaded_once_with_all_that_belongs_to_it(tube, approve, uploads):
    approve("v-whole")
    first = release("v-whole", tube)
    again = release("v-whole", tube)
    assert (first.status, first.destination) == ("published", "youtube")
    assert again == first
    (upload,) = uploads.complete()
    assert first.url.endswith(upload.video_id)
    assert upload.received == upload.size
    assert upload.length_s == pytest.approx(2, abs=0.1)
    assert upload.resource["snippet"]["tags"] == ["ytempire v-whole", "chess", "endgame"]
    below = upload.resource["snippet"]["description"]
    assert below.startswith("About (Chess endgame tricks")
    assert below.endswith("Photo by Mara Lind on Pexels: https://p/1")
    assert upload.resource["status"]["containsSyntheticMedia"] is True
    assert upload.contrast == pytest.approx(0.5, abs=0.05)
    assert [track["language"] for track in upload.captions] == ["en"]
    used = "select jsonb_object_agg(pool, used) from ops.quota_ledger where provider = 'youtube'"
    assert row(tube, used)[0] == {"upload": 1, "default": 1 + 50 + 400 + 1}
    assert row(tube, "select status from content.video_schedule") == ("published",)


def test_a_killed_upload_goes_on_where_it_was(tube, approve, uploads, faults):
    approve("v-killed")
    before = len(uploads._all)
    faults("slow;path=upload_id;seconds=0.5")
    code = (
        "import sys; from pathlib import Path; from ml.publishing.release import release;"
        "from ml.settings import Settings;"
        "release('v-killed', Settings.model_validate_json(Path(sys.argv[1]).read_text()))"
    )
    options = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value
        for name, value in tube.model_dump().items()
    }
    plain = json.dumps({name: value for name, value in options.items() if value}, default=str)
    path = tube.outbox_dir / "settings.json"
    path.write_text(plain)
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], start_new_session=True)
    deadline = time.monotonic() + 60
    while not any(0 < each.received < each.size for each in uploads._all.values()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    faults("")
    assert release("v-killed", tube).status == "published"
    assert len(uploads._all) == before + 1
    made = row(tube, "select external_id, session from content.publications"
                     " where video_id = 'v-killed'")  # fmt: skip
    assert uploads.get(made[0]).received == uploads.get(made[0]).size
    assert made[1] is None


def test_an_upload_whose_end_was_not_noted_is_found_again(tube, approve, uploads):
    approve("v-lost")
    url = release("v-lost", tube).url
    with connect(tube.require("database_url")) as conn:
        conn.execute(
            "update content.publications set status = 'uploading', external_id = null, url = null"
            " where video_id = 'v-lost'"
        )
        conn.execute("update content.videos set verdict = 'approved' where video_id = 'v-lost'")
    before = len(uploads._all)
    assert release("v-lost", tube).url == url
    assert len(uploads._all) == before


def test_a_suspended_account_closes_the_channel_and_keeps_the_video(tube, approve, faults, uploads):
    approve("v-later")
    faults("suspended")
    with pytest.raises(AccountSuspendedError):
        release("v-later", tube)
    faults("")
    assert row(tube, "select verdict from content.videos where video_id = 'v-later'") == (
        "approved",
    )
    with pytest.raises(FatalError, match="quarantine until"):
        release("v-later", tube)
    with connect(tube.require("database_url")) as conn:
        set_active(conn, "tube", True)


def test_refusals_leave_the_video_to_be_published_later(tube, faults, uploads):
    faults("quota;path=upload/youtube/v3/videos")
    with pytest.raises(QuotaExceededError):
        release("v-later", tube)
    assert row(tube, "select verdict from content.videos where video_id = 'v-later'") == (
        "approved",
    )
    faults("503;times=2;path=upload_id, 429;times=1;retry_after=0;path=thumbnails")
    assert release("v-later", tube).status == "published"


@pytest.mark.parametrize(
    "path", ["upload/youtube/v3/videos", "upload_id", "thumbnails", "captions"]
)
@pytest.mark.parametrize("fault", ["401", "500", "truncate", "cut", "slow;seconds=2"])
def test_whatever_youtube_answers_the_video_is_out_once_in_the_end(
    tube, approve, faults, uploads, fault, path, monkeypatch
):
    """In every call of an upload: one line that says what failed, and nothing twice."""
    if fault.startswith("slow"):  # the client's own patience is a minute
        monkeypatch.setattr("googleapiclient.http.DEFAULT_HTTP_TIMEOUT_SEC", 0.3)
    name = approve(f"v-{fault[:3]}-{path[-4:]}")
    with connect(tube.require("database_url")) as conn:
        conn.execute("truncate ops.quota_ledger")  # ours does not know that
    before = len(uploads.complete())
    faults(f"{fault};path={path}")
    with pytest.raises((ProviderError, SourceUnavailableError), match="youtube"):
        release(name, tube)
    faults("")
    assert release(name, tube).status == "published"
    assert len(uploads.complete()) == before + 1
    marked = (f"ytempire {name}" in each.resource["snippet"]["tags"] for each in uploads.complete())
    (made,) = compress(uploads.complete(), marked)
    assert made.received == made.size
    assert made.contrast is not None
    assert len(made.captions) == 1
    with connect(tube.require("database_url")) as conn:
        conn.execute("truncate ops.quota_ledger")
        for table in ("publications", "videos", "video_schedule"):
            conn.execute(f"delete from content.{table} where video_id = %s".encode(), (name,))


def test_a_rejected_upload_closes_the_channel_for_a_day(tube, approve):
    approve("v-bad", title="Free money for everybody today")
    approve("v-next")
    with pytest.raises(RejectedUploadError, match="termsOfUse"):
        release("v-bad", tube)
    assert row(tube, "select verdict from content.videos where video_id = 'v-bad'") == ("rejected",)
    with pytest.raises(FatalError, match="quarantine until"):
        release("v-next", tube)
    with connect(tube.require("database_url")) as conn:
        (channel,) = list_channels(conn)
        assert "v-bad" in channel["quarantine_reason"]
        set_active(conn, "tube", True)
    # The strike is still there, and is seen before anything is sent.
    with pytest.raises(RejectedUploadError, match="communityGuidelines"):
        release("v-next", tube)
    with connect(tube.require("database_url")) as conn:
        set_active(conn, "tube", True)


def test_a_video_is_taken_down(tube, uploads):
    with connect(tube.require("database_url")) as conn:
        # As one leaves it that was killed between the last byte and the note of it.
        (external_id,) = conn.execute(
            "select external_id from content.publications where video_id = 'v-lost'"
        ).fetchone()
        conn.execute(
            "update content.publications set status = 'uploading', external_id = null"
            " where video_id = 'v-lost'"
        )
        conn.execute("update content.videos set verdict = 'approved' where video_id = 'v-lost'")
    for _ in range(2):
        assert unpublish("v-lost", tube).status == "unpublished"
    noted = "select external_id from content.publications where video_id = 'v-lost'"
    assert row(tube, noted) == (external_id,)
    assert uploads.get(external_id).resource["status"]["privacyStatus"] == "private"
    with pytest.raises(FatalError, match="not out: it is rejected"):
        unpublish("v-bad", tube)


def test_figures_are_taken_in_time_and_become_outcomes(tube, world, faults):
    with connect(tube.require("database_url")) as conn:
        model = conn.execute(
            "insert into ml.ml_models (model_name, model_type, version, model_path)"
            " values ('trend_video', 'xgboost', '1.0.0', 'm') returning id"
        ).fetchone()[0]
        conn.execute(
            "insert into ml.model_predictions (model_id, prediction_type, entity_id, as_of,"
            " input_data, prediction) values (%s, 'video_forecast', 'v-whole', now(), '{}', '{}')",
            (model,),
        )
    assert collect_metrics(tube).observed == 0
    world.now += timedelta(hours=1, minutes=5).total_seconds()
    assert collect_metrics(tube).observed == 3  # v-whole, v-killed, v-later
    assert collect_metrics(tube).observed == 0
    world.now += timedelta(hours=70).total_seconds()
    late = collect_metrics(tube)
    assert (late.observed, late.missed) == (0, 3)
    world.now += timedelta(hours=98).total_seconds()
    assert collect_metrics(tube).observed == 3
    world.now += timedelta(days=4).total_seconds()
    world_day = datetime.fromtimestamp(world.now, UTC).astimezone(ZoneInfo(PACIFIC)).date()
    faults(f"503;path=reports/{world_day - timedelta(days=3)}")  # the newest of several
    days = "select count(*) from content.video_reach_days"
    before = row(tube, days)
    with (
        LedgerMeter(tube) as meter,
        connect(tube.require("database_url"), autocommit=True) as conn,
        pytest.raises(ProviderError, match="report of"),
    ):
        collect_reach(conn, owner(conn, tube, "tube", meter), "tube")
    assert row(tube, days) == before
    faults("")
    last = collect_metrics(tube)
    assert (last.retention, last.reach) == (3, 3)
    assert collect_metrics(tube) == type(last)()
    with connect(tube.require("database_url")) as conn:
        figures = conn.execute(
            "select horizon, status, views, average_view_percent, click_through_rate"
            " from content.video_metrics"
            " where video_id = 'v-whole' order by due_at"
        ).fetchall()
        outcome = conn.execute("select actual_outcome from ml.model_predictions").fetchone()[0]
    assert [figure[:2] for figure in figures] == [
        ("1h", "observed"), ("24h", "missed"), ("7d", "observed"),
    ]  # fmt: skip
    assert figures[2][2] > figures[0][2] > 0
    assert 0 < figures[2][3] < 100
    assert 0 < figures[2][4] < 0.3
    assert figures[0][3] is figures[0][4] is None
    assert outcome["7d"]["click_through_rate"] == figures[2][4]
    assert outcome["7d"]["views"] == figures[2][2]
    assert outcome["7d"]["average_view_percent"] == figures[2][3]


def test_a_channel_that_cannot_be_used_keeps_no_other_from_being_asked(tube):
    first = CHANNEL.model_copy(update={"channel_id": "a-closed-one"})
    with connect(tube.require("database_url")) as conn:
        put_channels(conn, [first])
        save_token(conn, tube, first.channel_id, "revoked", [], "UC-closed")
        conn.execute(
            "insert into content.videos (video_id, channel_id, topic_id, topic, title, verdict,"
            " scores, duration_s, files) values ('v-closed', 'a-closed-one', 't', 't', 't',"
            " 'published', '{}', 2, '{}')"
        )
        conn.execute(
            "insert into content.publications (video_id, destination, status, external_id,"
            " published_at) values ('v-closed', 'youtube', 'published', 'x', '2026-01-01Z')"
        )
        conn.execute("delete from content.video_metrics where video_id = 'v-whole'")
    with pytest.raises(SourceUnavailableError, match=r"a-closed-one: .*ytempire auth youtube"):
        collect_metrics(tube)
    known = "select count(*) from content.video_metrics where video_id = 'v-whole'"
    assert row(tube, known) == (3,)


def test_consent_ends_as_an_encrypted_token(tube, approve):
    shown = []

    def open_browser(address: str) -> None:
        shown.append(address)
        threading.Thread(
            target=httpx.get, args=(address,),
            kwargs={"follow_redirects": True, "trust_env": False},
        ).start()  # fmt: skip

    granted = ask(tube, open_browser, timeout_s=20)
    assert granted.refresh_token not in repr(granted) + shown[0]
    with connect(tube.require("database_url")) as conn:
        save_token(conn, tube, "tube", granted.refresh_token, granted.scopes, "UC-own")
        kept = conn.execute("select refresh_token from content.credentials").fetchone()[0]
        assert granted.refresh_token.encode() not in bytes(kept)
        assert refresh_token(conn, tube, "tube") == granted.refresh_token
    assert unpublish("v-later", tube).status == "unpublished"  # with that token

"""A real small video, spoiled by ffmpeg in known ways, and what the media checkpoint says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from media_faults import MEDIA_FAULTS, spoil

from ml.exceptions import ConfigurationError, GenerationError
from ml.generation import video
from ml.generation.artifacts import LocalStore
from ml.generation.brief import ChannelBrief, SeriesPoint, VideoBrief
from ml.generation.checks import aggregate
from ml.generation.gate_technical import video_checks
from ml.generation.media import loudness, probe, run_ffmpeg
from ml.generation.script import Scene, Sentence, Storyboard
from ml.generation.stage import StageContext
from ml.generation.video_encoder import encode, encoders
from ml.generation.video_sound import sound_graph
from ml.generation.voice import join
from ml.generation.voice_enhance import enhance
from ml.generation.voice_interface import Take, write_wav
from ml.settings import Settings
from ml.world.providers.voice_api import hum

START = datetime(2026, 5, 1, tzinfo=UTC)
BRIEF = VideoBrief(
    video_id="v", channel=ChannelBrief(channel_id="c", name="Trend Lab"), topic="Roblox",
    series=tuple(SeriesPoint(at=START + timedelta(days=i), value=10.0 * i + 5) for i in range(5)),
    width=480, height=270, as_of=START + timedelta(days=5),
)  # fmt: skip


def scene(kind: str, *texts: str) -> Scene:
    lines = [Sentence(text=text, origin="fact") for text in texts]
    return Scene(kind=kind, heading="Roblox = fun; really", sentences=lines)


BOARD = Storyboard(
    topic="Roblox",
    scenes=[
        scene("title", "What is going on with Roblox?", "Here is what the data say."),
        scene("chart", "The number of views has risen from five to forty five within four days."),
        scene("fact", "A video about castles has two million views and many comments."),
        scene("why", "People like it because building together feels like a small adventure."),
        scene("outro", "Would you build a castle?", "Follow Trend Lab to see what rises next."),
    ],
)


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> StageContext:
    folder = tmp_path_factory.mktemp("media")
    texts = [sentence.text for part in BOARD.scenes for sentence in part.sentences]
    audio, timeline = join(BOARD, [Take(hum(text, 22050)[0], 22050) for text in texts])
    write_wav(folder / "raw.wav", audio, 22050)
    enhance(folder / "raw.wav", folder / "voice.wav", 60)
    (folder / "timeline.json").write_text(timeline.model_dump_json())
    (folder / "storyboard.json").write_text(BOARD.model_dump_json())
    (folder / "work").mkdir()
    inputs = {
        "script": {"storyboard.json": folder / "storyboard.json"},
        "voice": {name: folder / name for name in ("voice.wav", "timeline.json")},
    }
    settings = Settings().model_copy(update={"video_vertical": True, "video_encoder": "libx264"})
    return StageContext(
        BRIEF, settings, LocalStore(folder), folder / "work", inputs, {}, timeout_s=300
    )


@pytest.fixture(scope="module")
def made(context) -> dict[str, Path]:
    return dict(video.run(context).files)


def failed(context, made, path: Path) -> dict[str, object]:
    inputs = {**context.inputs, "video": {**made, "video.mp4": path}}
    own = StageContext(
        context.brief, context.settings, context.store, context.work, inputs, {}, 300
    )
    return {check.name: check.value for check in video_checks(own) if not check.passed}


def test_a_sound_video_passes(context, made):
    assert failed(context, made, made["video.mp4"]) == {}


@pytest.mark.parametrize("fault", MEDIA_FAULTS)
def test_every_media_fault_is_found_by_the_check_that_is_there_for_it(
    context, made, tmp_path, fault
):
    found = failed(context, made, spoil(made["video.mp4"], fault, tmp_path / "x.mp4"))
    assert set(found) & set(MEDIA_FAULTS[fault][1]), found


def test_faults_lower_the_score_so_that_the_video_is_not_passed(context, made, tmp_path):
    inputs = {**context.inputs}
    path = spoil(made["video.mp4"], "quiet", tmp_path / "x.mp4")
    own = StageContext(
        context.brief, context.settings, context.store, context.work,
        {**inputs, "video": {**made, "video.mp4": path}}, {}, 300,
    )  # fmt: skip
    assert aggregate(video_checks(own))["overall"] <= 0.8


def test_the_upright_twin_is_9_to_16_and_as_long(made):
    wide, upright = probe(made["video.mp4"]), probe(made["vertical.mp4"])
    assert (upright.width, upright.height) == (270, 480)
    assert upright.duration_s == pytest.approx(wide.duration_s, abs=0.1)


def test_an_upright_twin_of_another_length_or_shape_is_found(context, made, tmp_path):
    for fault in ("too_short", "wrong_size"):
        twin = spoil(made["vertical.mp4"], fault, tmp_path / f"{fault}.mp4")
        assert list(failed(context, made | {"vertical.mp4": twin}, made["video.mp4"])) == [
            "upright"
        ]


def test_scenes_are_chapters(made):
    log = run_ffmpeg(["-i", str(made["video.mp4"]), "-t", "0", "-f", "null", "-"], timeout_s=30)
    log = log.split("Output #0")[0]
    assert log.count("Chapter #0:") == len(BOARD.scenes)
    assert "The trend" in log
    assert "Roblox = fun; really" in log


def test_music_gives_way_to_speech_and_the_loudness_stays(context, tmp_path):
    tone = "sine=frequency=440:duration=3:sample_rate=48000"
    run_ffmpeg(["-f", "lavfi", "-i", tone, str(tmp_path / "music.wav")], timeout_s=30)
    voice = context.inputs["voice"]["voice.wav"]
    length = probe(voice).duration_s
    graph = sound_graph(0, tmp_path / "music.wav", length)
    inputs = ["-i", str(voice), "-stream_loop", "-1", "-i", str(tmp_path / "music.wav")]
    mixed = tmp_path / "mixed.wav"
    run_ffmpeg([*inputs, "-filter_complex", graph, "-map", "[audio]", str(mixed)], timeout_s=60)
    assert loudness(mixed).integrated == pytest.approx(-16, abs=0.5)
    below = graph.replace("[voice][below]amix", "[voice]anullsink;[below]anull").split(";\n")
    only = ";\n".join([*below[:-1], "[voice]anullsink", "[below]anull[audio]"])
    run_ffmpeg([*inputs, "-filter_complex", only, "-map", "[audio]", str(mixed)], timeout_s=60)
    ducked, plain = loudness(mixed).integrated, -30
    assert ducked < plain - 3


def test_music_without_a_licence_is_refused(tmp_path):
    (tmp_path / "m.wav").write_bytes(b"x")
    settings = Settings().model_copy(update={"music_path": tmp_path / "m.wav"})
    with pytest.raises(ConfigurationError, match="YTEMPIRE_MUSIC_LICENCE"):
        video.music(settings)


def test_a_full_disk_ends_the_encode_with_what_to_do(tmp_path):
    (tmp_path / "video.mp4").symlink_to("/dev/full")
    graph = "testsrc2=s=1280x720:d=4[video];sine=d=4[audio]"
    with pytest.raises(GenerationError, match="No space left on device; free some"):
        encode([], graph, tmp_path / "video.mp4", work=tmp_path, seconds=4, timeout_s=60)


def test_hardware_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("ml.generation.video_encoder.has_hardware", lambda: False)
    assert encoders("auto") == ["libx264"]
    with pytest.raises(ConfigurationError, match="YTEMPIRE_VIDEO_ENCODER"):
        encoders("h264_nvenc")
    monkeypatch.setattr("ml.generation.video_encoder.has_hardware", lambda: True)
    assert encoders("auto") == ["h264_nvenc", "libx264"]

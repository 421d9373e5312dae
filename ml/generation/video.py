"""Stage 4: the video. One ffmpeg run joins stills, motion, captions and voice."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.exceptions import GenerationError
from ml.generation import captions, drawing, stock
from ml.generation.brief import VideoBrief
from ml.generation.media import probe
from ml.generation.script import Scene, Storyboard
from ml.generation.stage import StageContext, StageOutput
from ml.generation.stills import Stills, save
from ml.generation.text import clean, latin
from ml.generation.video_encoder import FPS, encode, encoders
from ml.generation.video_sound import music, sound_graph

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

CODE_VERSION = "3"

_ENTER = 0.45  # seconds in which a foreground slides and fades in
_REVEAL_AT, _REVEAL_FOR = 0.5, 1.8  # when the trend curve is drawn, and for how long


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Write `video.mp4` and `captions.srt`, and `vertical.mp4` where that is set."""
    inputs, settings = context.inputs, context.settings
    board = Storyboard.model_validate_json(
        inputs["script"]["storyboard.json"].read_text(encoding="utf-8")
    )
    timeline = captions.Timeline.model_validate_json(
        inputs["voice"]["timeline.json"].read_text(encoding="utf-8")
    )
    track, voice = music(settings), inputs["voice"]["voice.wav"]
    shown = captions.captions(timeline)
    srt = context.write_text("captions.srt", captions.to_srt(shown))
    files = {"video.mp4": context.work / "video.mp4", "captions.srt": srt}
    render = _Render(board, timeline, voice, track, settings.video_encoder, context.timeout_s)
    found = _photographs(board, context, upright=False)
    shots = [found]
    metrics, encoder = render(
        context.brief, found.images, context.work / "wide", files["video.mp4"]
    )
    if settings.video_vertical:
        upright = context.brief.model_copy(update=vertical(context.brief))
        files["vertical.mp4"] = context.work / "vertical.mp4"
        shots.append(_photographs(board, context, upright=True))
        own, _ = render(upright, shots[-1].images, context.work / "upright", files["vertical.mp4"])
        metrics["vertical"] = own
    metrics |= {"captions": len(shown), "scenes": len(board.scenes), "fps": FPS}
    metrics["stock"] = {
        "photos": [
            {**asdict(photo), "credit": photo.credit}
            for photo in dict.fromkeys(each for shot in shots for each in shot.photos.values())
        ],
        "failures": [failure for shot in shots for failure in shot.failures],
    }
    if track:
        metrics["music"] = {"file": track.name, "licence": settings.music_licence}
    return StageOutput(f"ffmpeg/{encoder}", files, metrics)


def _photographs(board: Storyboard, context: StageContext, *, upright: bool) -> stock.Grounds:
    """Photographs for the scenes; a chart stands on its own."""
    wanted = {
        number: latin(clean(scene.visual_cue or board.topic, 80))
        for number, scene in enumerate(board.scenes)
        if scene.kind != "chart"
    }
    wanted = {number: words for number, words in wanted.items() if words}
    return stock.grounds(wanted, context.settings, context.store, upright=upright)


def vertical(brief: VideoBrief) -> dict[str, int]:
    """Width and height of the 9:16 twin: as wide as the video is high."""
    short = min(brief.width, brief.height)
    return {"width": short, "height": short * 16 // 9 // 2 * 2}


@dataclass(frozen=True)
class _Render:
    """Draws and encodes one shape of a video."""

    board: Storyboard
    timeline: captions.Timeline
    voice: Path
    track: Path | None
    encoder: str
    timeout_s: float

    def __call__(
        self, brief: VideoBrief, photos: Mapping[int, Image.Image], work: Path, target: Path
    ) -> tuple[dict[str, Any], str]:
        """Write `target`; returns what it took, and the encoder."""
        work.mkdir()
        started = time.monotonic()
        shown = captions.captions(self.timeline, captions.line_chars(brief.width, brief.height))
        accent = drawing.hexadecimal(drawing.palette(brief.channel.brand_colors)[2])
        ass = captions.to_ass(shown, width=brief.width, height=brief.height, accent=accent)
        (work / "captions.ass").write_text(ass, encoding="utf-8")
        pictures, graph, count = scene_graph(brief, self.board, self.timeline, work, photos)
        graph += ";\n" + sound_graph(count, self.track, self.timeline.duration)
        (work / "chapters.txt").write_text(chapters(self.board, self.timeline), encoding="utf-8")
        sounds = ["-i", str(self.voice)]
        sounds += ["-stream_loop", "-1", "-i", str(self.track)] if self.track else []
        drawn = time.monotonic() - started
        used = self._encode(
            [*pictures, *sounds, "-i", "chapters.txt"], graph, target, work,
            count + (2 if self.track else 1),
        )  # fmt: skip
        metrics = {
            "draw_seconds": round(drawn, 2),
            "encode_seconds": round(time.monotonic() - started - drawn, 2),
            "duration_s": probe(target).duration_s,
            "size": [brief.width, brief.height],
        }
        return metrics, used

    def _encode(
        self, inputs: list[str], graph: str, target: Path, work: Path, chapters: int
    ) -> str:
        names = encoders(self.encoder)
        for name in names:
            try:
                encode(
                    inputs, graph, target, work=work, seconds=self.timeline.duration,
                    timeout_s=self.timeout_s, encoder=name, chapters=chapters,
                )  # fmt: skip
            except GenerationError as error:
                if name == names[-1]:
                    raise
                log.warning("%s does not work here, the next one is tried: %s", name, error)
            else:
                return name
        raise GenerationError("there is no encoder")


def chapters(board: Storyboard, timeline: captions.Timeline) -> str:
    """The scenes as chapters, in ffmpeg's metadata format."""
    names = {"title": "Intro", "chart": "The trend", "outro": "Your turn"}
    lines = [";FFMETADATA1"]
    for scene, (start, end) in zip(board.scenes, timeline.scene_spans(), strict=True):
        name = re.sub(r"([=;#\\\n])", r"\\\1", names.get(scene.kind, clean(scene.heading, 60)))
        lines += [
            "[CHAPTER]", "TIMEBASE=1/1000", f"START={round(start * 1000)}",
            f"END={round(end * 1000)}", f"title={name}",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def scene_graph(
    brief: VideoBrief,
    board: Storyboard,
    timeline: captions.Timeline,
    work: Path,
    photos: Mapping[int, Image.Image],
) -> tuple[list[str], str, int]:
    """Draw the stills and build ffmpeg's inputs and filter graph for them.

    Returns:
        Arguments that open the stills, the graph up to `[video]`, and how many stills there are.
    """
    stills = Stills(brief, photos)
    arguments: list[str] = []
    parts: list[str] = []
    count = 0
    spans = timeline.scene_spans()
    frames = _frames(spans)
    for number, (scene, length) in enumerate(zip(board.scenes, frames, strict=True)):
        files = _draw(stills, scene, number, work)
        for file in files:
            arguments += ["-i", str(file)]
        parts.append(_scene_filter(brief, number, count, len(files), length))
        count += len(files)
    joined = "".join(f"[s{number}]" for number in range(len(board.scenes)))
    parts.append(f"{joined}concat=n={len(board.scenes)}:v=1:a=0[cut]")
    bar = max(4, min(brief.width, brief.height) // 120)
    total = sum(frames) / FPS
    accent = drawing.hexadecimal(drawing.palette(brief.channel.brand_colors)[2])
    parts.append(f"color=c=0x{accent[1:]}:s={brief.width}x{bar}:r={FPS}:d={total:.3f}[bar]")
    parts.append(f"[cut][bar]overlay=x='-w+w*t/{total:.3f}':y=H-h:eval=frame:shortest=1[barred]")
    # Relative names: the work folder is ffmpeg's own, so no path needs escaping for the graph.
    (work / "fonts").symlink_to(drawing.fonts_dir(), target_is_directory=True)
    parts.append("[barred]ass=captions.ass:fontsdir=fonts,format=yuv420p[video]")
    return arguments, ";\n".join(parts), count


def _frames(spans: Sequence[tuple[float, float]]) -> list[int]:
    """Whole frames of every scene; rounding does not add up from scene to scene."""
    cuts = [round(end * FPS) for _, end in spans]
    return [end - start for start, end in zip([0, *cuts], cuts, strict=False)]


def _draw(stills: Stills, scene: Scene, number: int, work: Path) -> list[Path]:
    pictures = [stills.background(number)]
    if scene.kind == "chart":
        pictures += [stills.chart(scene, with_curve=curve) for curve in (False, True)]
    else:
        pictures.append(stills.foreground(scene))
    return [
        save(picture, work / f"scene{number}-{layer}.png") for layer, picture in enumerate(pictures)
    ]


def _scene_filter(brief: VideoBrief, number: int, first: int, layers: int, frames: int) -> str:
    """Drift over the background; let the foreground in; draw a curve by wiping it in."""
    width, height, seconds = brief.width, brief.height, frames / FPS
    hold = f"loop=loop=-1:size=1,setpts=N/{FPS}/TB,fps={FPS},trim=end_frame={frames}"
    turn = 1 if number % 2 == 0 else -1
    # The background is soft, so that whole-pixel steps of this slow drift cannot be seen.
    drift = (
        f"crop={width}:{height}:x='(iw-ow)*(0.5+{turn * 0.45}*cos(PI*t/{seconds:.3f}))'"
        f":y='(ih-oh)*(0.5-0.45*cos(PI*t/{seconds:.3f}))'"
    )
    back = f"[{first}:v]format=yuv420p,{hold},{drift}[b{number}]"
    front = f"[{first + 1}:v]format=yuva420p,{hold}"
    if layers == 3:
        other = f"[{first + 2}:v]format=yuva420p,{hold}[c{number}]"
        wipe = f"xfade=transition=wiperight:duration={_REVEAL_FOR}:offset={_REVEAL_AT}"
        front = f"{front}[a{number}];{other};[a{number}][c{number}]{wipe}"
    fade = f"fade=t=in:st=0:d={_ENTER}:alpha=1"
    slide = f"'{height * 0.04:.0f}*pow(1-min(t/{_ENTER},1),3)'"
    return (
        f"{back};\n{front},{fade}[f{number}];\n"
        f"[b{number}][f{number}]overlay=x=0:y={slide}:eval=frame:shortest=1,"
        f"trim=end_frame={frames},setsar=1[s{number}]"
    )

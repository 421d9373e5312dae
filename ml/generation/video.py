"""Stage 4: the video. One ffmpeg run joins stills, motion, captions and voice."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ml.exceptions import GenerationError
from ml.generation import captions, drawing
from ml.generation.brief import VideoBrief
from ml.generation.media import ffmpeg, probe
from ml.generation.script import Scene, Storyboard
from ml.generation.stage import StageContext, StageOutput
from ml.generation.stills import Stills, save

log = logging.getLogger(__name__)

CODE_VERSION = "1"
FPS = 25

_ENTER = 0.45  # seconds in which a foreground slides and fades in
_REVEAL_AT, _REVEAL_FOR = 0.5, 1.8  # when the trend curve is drawn, and for how long


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Write `video.mp4` and `captions.srt`."""
    brief, inputs = context.brief, context.inputs
    board = Storyboard.model_validate_json(
        inputs["script"]["storyboard.json"].read_text(encoding="utf-8")
    )
    timeline = captions.Timeline.model_validate_json(
        inputs["voice"]["timeline.json"].read_text(encoding="utf-8")
    )
    shown = captions.captions(timeline)
    srt = context.write_text("captions.srt", captions.to_srt(shown))
    accent = drawing.hexadecimal(drawing.palette(brief.channel.brand_colors)[2])
    ass = captions.to_ass(shown, width=brief.width, height=brief.height, accent=accent)
    context.write_text("captions.ass", ass)
    started = time.monotonic()
    inputs_args, graph = scene_graph(brief, board, timeline, context.work)
    drawn = time.monotonic() - started
    target = context.work / "video.mp4"
    encode(
        [*inputs_args, "-i", str(inputs["voice"]["voice.wav"])],
        graph, target, work=context.work, seconds=timeline.duration, timeout_s=context.timeout_s,
    )  # fmt: skip
    streams = probe(target)
    metrics = {
        "draw_seconds": round(drawn, 2),
        "encode_seconds": round(time.monotonic() - started - drawn, 2),
        "duration_s": streams.duration_s,
        "captions": len(shown),
        "scenes": len(board.scenes),
        "fps": FPS,
    }
    return StageOutput(
        "ffmpeg/libx264",
        {"video.mp4": target, "captions.srt": srt},
        metrics,
    )


def scene_graph(
    brief: VideoBrief, board: Storyboard, timeline: captions.Timeline, work: Path
) -> tuple[list[str], str]:
    """Draw the stills and build ffmpeg's inputs and filter graph for them."""
    stills = Stills(brief)
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
    bar = max(4, brief.height // 120)
    total = sum(frames) / FPS
    accent = drawing.hexadecimal(drawing.palette(brief.channel.brand_colors)[2])
    parts.append(f"color=c=0x{accent[1:]}:s={brief.width}x{bar}:r={FPS}:d={total:.3f}[bar]")
    parts.append(f"[cut][bar]overlay=x='-w+w*t/{total:.3f}':y=H-h:eval=frame:shortest=1[barred]")
    # Relative names: the work folder is ffmpeg's own, so no path needs escaping for the graph.
    (work / "fonts").symlink_to(drawing.fonts_dir(), target_is_directory=True)
    parts.append("[barred]ass=captions.ass:fontsdir=fonts,format=yuv420p[video]")
    parts.append(f"[{count}:a]aresample=48000,apad=whole_dur={total:.3f}[audio]")
    return arguments, ";\n".join(parts)


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


def encode(
    inputs: Sequence[str],
    graph: str,
    target: Path,
    *,
    work: Path,
    seconds: float,
    timeout_s: float,
) -> None:
    """Run the encode and follow ffmpeg's own progress.

    Raises:
        GenerationError: if ffmpeg fails or does not end in time.
    """
    command = [
        ffmpeg(), "-hide_banner", "-nostdin", "-y", "-loglevel", "error", *inputs,
        "-filter_complex", graph, "-map", "[video]", "-map", "[audio]", "-r", str(FPS),
        "-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p",
        "-c:a", "aac", "-b:a", "160k", "-ac", "2", "-ar", "48000", "-shortest",
        "-movflags", "+faststart", "-map_metadata", "-1", "-fflags", "+bitexact",
        "-progress", "pipe:1", str(target),
    ]  # fmt: skip
    with (work / "ffmpeg.log").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, cwd=work, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        watchdog = threading.Timer(timeout_s, process.kill)
        watchdog.start()
        try:
            _follow(process, seconds)
        finally:
            watchdog.cancel()
            process.kill()  # does nothing to a process that has ended
            process.wait()
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read().strip().splitlines()
            reason = lines[-1] if lines else f"ended by signal within {timeout_s:.0f} s"
            raise GenerationError(f"ffmpeg could not encode the video: {reason}")


def _follow(process: subprocess.Popen[str], seconds: float) -> None:
    """Log every quarter; blocks until ffmpeg closes its output."""
    reported = 0
    for line in process.stdout or ():
        name, _, value = line.strip().partition("=")
        if name == "out_time_us" and value.isdigit():
            quarter = int(4 * int(value) / 1e6 / seconds)
            if quarter > reported:
                reported = quarter
                log.info("encoded %s %%", min(100, 25 * quarter))
    process.wait()

"""Captions in step with the voice: SRT for the player, ASS to burn in.

A sentence's start and end are those of its own audio, to the sample. The times of words inside it
are those that the voice's provider has aligned with the sound; without any they are interpolated
by the words' length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

MAX_LINE_CHARS, MAX_UPRIGHT_CHARS, MAX_LINES = 40, 24, 2
_PAUSE_CHARS = 2  # a word's share of time counts its letters and about two for the gap


class TimedSentence(BaseModel):
    """A spoken sentence with its place in the audio, in seconds.

    Attributes:
        word_ends: of its words, where the voice's provider has aligned them with the sound.
    """

    scene: int
    text: str
    start: float
    end: float
    word_ends: list[float] | None = None


class Timeline(BaseModel):
    """All sentences in order, and how long the audio is."""

    sentences: list[TimedSentence]
    duration: float
    sample_rate: int

    def scene_spans(self) -> list[tuple[float, float]]:
        """Start and end of every scene: cuts lie in the middle of the pause between two."""
        numbers = sorted({sentence.scene for sentence in self.sentences})
        firsts = [min(s.start for s in self.sentences if s.scene == n) for n in numbers]
        lasts = [max(s.end for s in self.sentences if s.scene == n) for n in numbers]
        cuts = [(end + start) / 2 for end, start in zip(lasts, firsts[1:], strict=False)]
        return list(zip([0.0, *cuts], [*cuts, self.duration], strict=True))


@dataclass(frozen=True)
class Caption:
    """What is shown from `start` to `end`: one or two lines of timed words."""

    start: float
    end: float
    lines: tuple[tuple[str, ...], ...]
    word_ends: tuple[float, ...]

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(" ".join(line) for line in self.lines)


def line_chars(width: int, height: int) -> int:
    """How long a line may be on a frame of that shape."""
    return MAX_LINE_CHARS if width >= height else MAX_UPRIGHT_CHARS


def captions(timeline: Timeline, chars: int = MAX_LINE_CHARS) -> list[Caption]:
    """Cut every sentence into captions of at most two lines of at most `chars` characters."""
    return [caption for sentence in timeline.sentences for caption in _of_sentence(sentence, chars)]


def _of_sentence(sentence: TimedSentence, chars: int) -> list[Caption]:
    words = sentence.text.split()
    weights = [len(word) + _PAUSE_CHARS for word in words]
    total, span = sum(weights), sentence.end - sentence.start
    ends = sentence.word_ends or [
        sentence.start + span * sum(weights[: i + 1]) / total for i in range(len(words))
    ]
    found, at, start = [], 0, sentence.start
    for lines in _pages(words, chars):
        number = sum(len(line) for line in lines)
        own = tuple(ends[at : at + number])
        found.append(Caption(start, own[-1], lines, own))
        at, start = at + number, own[-1]
    return found


def _pages(words: Sequence[str], chars: int) -> list[tuple[tuple[str, ...], ...]]:
    """Lines of even length, two to a caption."""
    letters = len(" ".join(words))
    n_lines = -(-letters // chars)
    width = max(-(-letters // n_lines) + 4, max(len(word) for word in words))
    lines: list[list[str]] = [[]]
    for word in words:
        if lines[-1] and len(" ".join([*lines[-1], word])) > min(width, chars):
            lines.append([])
        lines[-1].append(word)
    pages = [lines[i : i + MAX_LINES] for i in range(0, len(lines), MAX_LINES)]
    return [tuple(tuple(line) for line in page) for page in pages]


def to_srt(items: Sequence[Caption]) -> str:
    """SubRip text."""
    blocks = [
        f"{number}\n{_srt_time(item.start)} --> {_srt_time(item.end)}\n{item.text}\n"
        for number, item in enumerate(items, start=1)
    ]
    return "\n".join(blocks)


def from_srt(text: str) -> list[tuple[float, float, str]]:
    """Read SubRip text back as (start, end, text)."""
    found = []
    for block in text.strip().split("\n\n"):
        _, times, *lines = block.strip().split("\n")
        start, end = times.split(" --> ")
        found.append((_seconds(start), _seconds(end), "\n".join(lines)))
    return found


def _srt_time(seconds: float) -> str:
    millis = round(seconds * 1000)
    return (
        f"{millis // 3_600_000:02d}:{millis // 60_000 % 60:02d}:"
        f"{millis // 1000 % 60:02d},{millis % 1000:03d}"
    )


def _seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.strip().split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest.replace(",", "."))


def to_ass(items: Sequence[Caption], *, width: int, height: int, accent: str) -> str:
    """Styled captions: white, each word turning to `accent` (#rrggbb) as it is spoken."""
    unit = min(width, height)
    size = round(unit * 0.058)
    # The apps lay their buttons over the lowest part of an upright video.
    bottom = 0.055 if width >= height else 0.16
    style = (
        f"Style: Default,DejaVu Sans,{size},{_ass_color(accent)},&H00FFFFFF,&H00101010,&H80000000,"
        f"-1,0,0,0,100,100,0,0,1,{unit / 240:.1f},{unit / 480:.1f},2,"
        f"{round(width * 0.06)},{round(width * 0.06)},{round(height * bottom)},1"
    )
    head = (
        "[Script Info]\nScriptType: v4.00+\nWrapStyle: 2\nScaledBorderAndShadow: yes\n"
        f"PlayResX: {width}\nPlayResY: {height}\n\n[V4+ Styles]\n"
        "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, "
        "BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, "
        "BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n"
        f"{style}\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    )
    return head + "".join(
        f"Dialogue: 0,{_ass_time(item.start)},{_ass_time(item.end)},Default,,0,0,0,,"
        f"{_karaoke(item)}\n"
        for item in items
    )


def _karaoke(item: Caption) -> str:
    parts, at, spoken = [], item.start, iter(item.word_ends)
    for number, line in enumerate(item.lines):
        if number:
            parts.append("\\N")
        for word in line:
            end = next(spoken)
            parts.append(f"{{\\k{max(1, round((end - at) * 100))}}}{_escape(word)} ")
            at = end
    return "".join(parts).strip()


def _escape(word: str) -> str:
    # Braces open style overrides and a backslash starts a command.
    return word.replace("\\", "/").replace("{", "(").replace("}", ")")


def _ass_time(seconds: float) -> str:
    centis = round(seconds * 100)
    return (
        f"{centis // 360_000}:{centis // 6000 % 60:02d}:{centis // 100 % 60:02d}.{centis % 100:02d}"
    )


def _ass_color(color: str) -> str:
    red, green, blue = color[1:3], color[3:5], color[5:7]
    return f"&H00{blue}{green}{red}".upper()

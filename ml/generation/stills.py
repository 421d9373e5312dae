"""The stills of a video: one soft background and one foreground a scene, in the brand's colours.

Backgrounds are larger than the frame, so that the video can drift over them. Foregrounds are
transparent. The lowest quarter of the frame belongs to the captions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from ml.generation import drawing
from ml.generation.brief import SeriesPoint, VideoBrief
from ml.generation.script import Scene
from ml.generation.text import clean, count, latin
from ml.generation.thumbnail_score import nearest_ground

OVERSIZE = 1.16  # of the background against the frame
CAPTION_SHARE = 0.26
_VEILS = (0.3, 0.45, 0.6, 0.75, 0.9)  # opacity; the last one hides a white wall


class Stills:
    """Draws the scenes of one video.

    Args:
        brief: of the video.
        photos: photographs for the grounds, by the number of the scene; others are drawn.
    """

    def __init__(self, brief: VideoBrief, photos: Mapping[int, Image.Image] | None = None) -> None:
        self._brief, self._photos = brief, photos or {}
        self._size = (brief.width, brief.height)
        self._base, self._main, self._accent = drawing.palette(brief.channel.brand_colors)
        self._unit = min(brief.width, brief.height) / 720

    def background(self, number: int) -> Image.Image:
        """The scene's photograph, veiled; or a gradient with two lights, of its own each."""
        width, height = (round(side * OVERSIZE) for side in self._size)
        dark = drawing.mix(self._base, drawing.INK, 0.25)
        if photo := self._photos.get(number):
            return _veiled(ImageOps.fit(photo, (width, height)), dark)
        angle = 0.6 + 1.9 * number + self._brief.seed % 7
        image = drawing.gradient(
            (width, height), dark, drawing.mix(self._base, self._main, 0.55), angle
        )
        spot = (0.5 + 0.38 * math.cos(angle), 0.4 + 0.3 * math.sin(angle))
        drawing.glow(image, spot, 0.24, drawing.mix(self._base, self._main, 0.8))
        far = (1 - spot[0], 1 - spot[1])
        drawing.glow(image, far, 0.13, drawing.mix(self._base, self._accent, 0.4))
        return image

    def foreground(self, scene: Scene) -> Image.Image:
        """Text and cards of a scene that is no chart."""
        image, draw = self._empty()
        if scene.kind == "fact":
            self._fact_card(draw, scene)
        elif scene.kind == "why":
            self._keywords(draw, scene)
        else:
            self._title(draw, scene)
        return image

    def chart(self, scene: Scene, *, with_curve: bool) -> Image.Image:
        """The trend chart, with or without its curve (the video reveals it between the two)."""
        image, draw = self._empty()
        panel = self._box(0.07, 0.085, 0.93, 1 - CAPTION_SHARE + 0.015)
        self._panel(draw, panel)
        x, y = panel[0] + self._px(34), panel[1] + self._px(20)
        size, lines = drawing.fit(
            self._headline(scene.heading), (panel[2] - panel[0] - self._px(330), self._px(44)),
            self._px(34), self._px(24),
        )  # fmt: skip
        drawing.write_lines(draw, (x, y), lines[:1], size, drawing.WHITE)
        label = latin(clean(self._brief.series_label)) or "value"
        drawing.write_lines(
            draw, (x, y + self._px(46)), [f"{label}, as measured"], self._px(20), _SOFT, bold=False
        )
        plot = (
            panel[0] + self._px(120), panel[1] + self._px(116),
            panel[2] - self._px(60), panel[3] - self._px(56),
        )  # fmt: skip
        low, high, ticks = nice_axis([point.value for point in self._brief.series])
        self._axes(draw, plot, low, high, ticks)
        if with_curve:
            self._curve(draw, plot, low, high)
        return image

    def _axes(
        self, draw: ImageDraw.ImageDraw, plot: drawing.Box, low: float, high: float,
        ticks: Sequence[float],
    ) -> None:  # fmt: skip
        left, _, right, bottom = plot
        face = drawing.font(self._px(20), bold=False)
        for tick in ticks:
            y = drawing.curve_points([tick, tick], plot, low, high)[0][1]
            draw.line([(left, y), (right, y)], fill=(255, 255, 255, 46), width=self._px(1))
            draw.text(
                (left - self._px(14), y), _tick(tick), font=face, fill=_SOFT_RGBA, anchor="rm"
            )
        series = self._brief.series
        for point, x, anchor in ((series[0], left, "la"), (series[-1], right, "ra")):
            draw.text(
                (x, bottom + self._px(14)), day(point), font=face, fill=_SOFT_RGBA, anchor=anchor
            )

    def _curve(self, draw: ImageDraw.ImageDraw, plot: drawing.Box, low: float, high: float) -> None:
        points = time_points(self._brief.series, plot, low, high)
        area = [*points, (points[-1][0], plot[3]), (points[0][0], plot[3])]
        draw.polygon(area, fill=(*self._accent, 52))
        draw.line(points, fill=(*self._accent, 255), width=self._px(6), joint="curve")
        for (x, y), point, anchor in (
            (points[0], self._brief.series[0], "ls"),
            (points[-1], self._brief.series[-1], "rs"),
        ):
            r = self._px(9)
            draw.ellipse([x - r, y - r, x + r, y + r], fill=(255, 255, 255, 255))
            draw.text(
                (x, y - self._px(18)), count(point.value), font=drawing.font(self._px(28)),
                fill=(255, 255, 255, 255), anchor=anchor, stroke_width=self._px(3),
                stroke_fill=(*drawing.INK, 255),
            )  # fmt: skip

    def _title(self, draw: ImageDraw.ImageDraw, scene: Scene) -> None:
        small = self._brief.channel.name if scene.kind == "title" else "Thank you for watching"
        left, top, right, bottom = self._box(0.09, 0.14, 0.91, 1 - CAPTION_SHARE - 0.03)
        size, lines = drawing.fit(
            self._headline(scene.heading), (right - left, bottom - top - self._px(80)),
            self._px(104), self._px(44),
        )  # fmt: skip
        block = len(lines) * drawing.line_height(size) + self._px(80)
        y = top + max(0, (bottom - top - block) // 2)
        draw.rectangle(
            [left, y + self._px(4), left + self._px(10), y + block - self._px(16)],
            fill=(*self._accent, 255),
        )
        x = left + self._px(36)
        caption = latin(clean(small, 50)).upper()
        y = drawing.write_lines(draw, (x, y), [caption], self._px(28), self._accent)
        drawing.write_lines(draw, (x, y + self._px(14)), lines, size, drawing.WHITE, shadow=True)

    def _fact_card(self, draw: ImageDraw.ImageDraw, scene: Scene) -> None:
        panel = self._box(0.07, 0.13, 0.93, 1 - CAPTION_SHARE - 0.01)
        self._panel(draw, panel)
        x, y = panel[0] + self._px(44), panel[1] + self._px(34)
        width, height = panel[2] - x - self._px(44), panel[3] - y
        number, rest = highlight(scene.text)
        if number:
            size, lines = drawing.fit(number, (width, self._px(110)), self._px(92), self._px(48))
            y = drawing.write_lines(draw, (x, y), lines[:1], size, self._accent) + self._px(2)
            y = drawing.write_lines(draw, (x, y), [rest], self._px(30), _SOFT) + self._px(20)
        room = panel[3] - y - self._px(76)
        size, lines = drawing.fit(
            quoted(scene.heading), (width, min(room, height)), self._px(50), self._px(24)
        )
        drawing.write_lines(draw, (x, y), lines, size, drawing.WHITE)
        if scene.source:
            label = f"Source: {latin(clean(scene.source, 60))}"
            at = (x, panel[3] - self._px(46))
            drawing.write_lines(draw, at, [label], self._px(20), _SOFT, bold=False)

    def _keywords(self, draw: ImageDraw.ImageDraw, scene: Scene) -> None:
        left, top, right, bottom = self._box(0.09, 0.15, 0.91, 1 - CAPTION_SHARE - 0.03)
        size, lines = drawing.fit(
            self._headline(scene.heading), (right - left, self._px(170)), self._px(72), self._px(40)
        )
        y = drawing.write_lines(draw, (left, top), lines, size, drawing.WHITE, shadow=True)
        self._chips(draw, (left, y + self._px(26), right, bottom))

    def _chips(self, draw: ImageDraw.ImageDraw, box: drawing.Box) -> None:
        """Keywords in rounded boxes, row by row, as many as there is room for."""
        face, pad, gap = drawing.font(self._px(30)), self._px(22), self._px(16)
        x, y, high = box[0], box[1], self._px(58)
        for word in dict.fromkeys(latin(clean(k, 40)) for k in self._labels()):
            wide = round(face.getlength(word)) + 2 * pad
            if not word or wide > box[2] - box[0]:
                continue
            if x + wide > box[2]:
                x, y = box[0], y + high + gap
            if y + high > box[3]:
                return
            draw.rounded_rectangle(
                [x, y, x + wide, y + high], radius=high // 2, fill=(*drawing.INK, 170),
                outline=(*self._accent, 255), width=self._px(2),
            )  # fmt: skip
            draw.text(
                (x + pad, y + high / 2), word, font=face, fill=(255, 255, 255, 255), anchor="lm"
            )
            x += wide + gap

    def _labels(self) -> list[str]:
        """The keywords, or without any the makers that the facts name."""
        if self._brief.keywords:
            return list(self._brief.keywords)
        found = (re.search(r'" by (.+?) (?:has|is) ', clean(f.text)) for f in self._brief.facts)
        return [match[1] for match in found if match]

    def _empty(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        image = Image.new("RGBA", self._size, (0, 0, 0, 0))
        draw = ImageDraw.Draw(image, "RGBA")
        if self._brief.synthetic:
            self._badge(draw, "SYNTHETIC DATA")
        return image, draw

    def _badge(self, draw: ImageDraw.ImageDraw, label: str) -> None:
        face, pad = drawing.font(self._px(22)), self._px(14)
        right, top = self._size[0] - self._px(24), self._px(16)
        left = right - round(face.getlength(label)) - 2 * pad
        draw.rounded_rectangle(
            [left, top, right, top + self._px(38)], radius=self._px(8), fill=(*self._accent, 255)
        )
        ink = drawing.readable(drawing.INK, self._accent)
        draw.text((left + pad, top + self._px(19)), label, font=face, fill=(*ink, 255), anchor="lm")

    def _panel(self, draw: ImageDraw.ImageDraw, box: drawing.Box) -> None:
        draw.rounded_rectangle(box, radius=self._px(22), fill=(*drawing.INK, 205))
        draw.rounded_rectangle(
            [box[0], box[1], box[0] + self._px(10), box[3]], radius=self._px(5),
            fill=(*self._accent, 255),
        )  # fmt: skip

    def _headline(self, text: str) -> str:
        return text[0].upper() + text[1:]

    def _px(self, pixels: float) -> int:
        return max(1, round(pixels * self._unit))

    def _box(self, left: float, top: float, right: float, bottom: float) -> drawing.Box:
        width, height = self._size
        return (
            round(left * width),
            round(top * height),
            round(right * width),
            round(bottom * height),
        )


_SOFT: drawing.Rgb = (203, 213, 225)
_SOFT_RGBA = (*_SOFT, 255)


_LEAST = 1e-9  # less than this is nothing to draw


def _veiled(photo: Image.Image, veil: drawing.Rgb) -> Image.Image:
    """A photograph, darkened until white text can be read on it everywhere."""
    small = photo.reduce(4)
    lightest = nearest_ground(small, (0, 0, *small.size), drawing.WHITE)
    for share in _VEILS:
        ground = drawing.mix(lightest, veil, share)
        if drawing.contrast(drawing.WHITE, ground) >= drawing.MIN_CONTRAST:
            break
    return Image.blend(photo, Image.new("RGB", photo.size, veil), share)


def nice_axis(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Axis from zero to a round number above the highest value, with its ticks.

    An axis that starts at zero does not make a small rise look large.
    """
    top = max(*values, 0.0)
    if top < _LEAST:
        top = 1.0
    size = 10 ** math.floor(math.log10(top))
    step = next(size * m / 4 for m in (1, 2, 4, 6, 8, 12, 20, 40) if size * m >= top * 1.02)
    low = min(0.0, *values)
    return low, 4 * step, [i * step for i in range(5)]


def time_points(
    series: Sequence[SeriesPoint], box: drawing.Box, low: float, high: float
) -> list[tuple[float, float]]:
    """Pixel positions of a series; x is time, so gaps in the data stay gaps in the chart."""
    left, top, right, bottom = box
    start, span = series[0].at, (series[-1].at - series[0].at).total_seconds()
    return [
        (
            left + (point.at - start).total_seconds() / span * (right - left),
            bottom - (point.value - low) / (high - low) * (bottom - top),
        )
        for point in series
    ]


def _tick(value: float) -> str:
    """A number as short as an axis has room for."""
    said = count(value)
    for word, letter in ((" thousand", "K"), (" million", "M"), (" billion", "B")):
        said = said.replace(word, letter)
    return said


def day(point: SeriesPoint) -> str:
    """Date of a point as it stands on the axis."""
    return f"{point.at:%b} {point.at.day}, {point.at.year}"


def highlight(text: str) -> tuple[str, str]:
    """The number of a sentence with the word that it counts, to be shown large."""
    found = re.search(
        r"(\d[\d.,]*\d|\d)( (?:thousand|million|billion))? (views|countries|points|comments)\b",
        text,
    )
    return (f"{found[1]}{found[2] or ''}", found[3]) if found else ("", "")


def quoted(heading: str) -> str:
    """The title and maker that a fact names, or the whole fact."""
    found = re.match(r'"(.+?)"(?: by (.+?))?(?: (?:has|is) .*)?$', heading)
    if not found:
        return heading
    maker = f" - {found[2]}" if found[2] else ""
    return f'"{found[1]}"{maker}'


def save(image: Image.Image, path: Path) -> Path:
    """Write a PNG, quickly rather than small: it lives for one encode."""
    image.save(path, compress_level=1)
    return path

"""Pictures with Pillow: fonts, gradients, text that fits and that can be read."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ml.exceptions import GenerationError

Rgb = tuple[int, int, int]
Box = tuple[int, int, int, int]

WHITE: Rgb = (255, 255, 255)
INK: Rgb = (12, 16, 28)
MIN_CONTRAST = 4.5  # WCAG 2.2, level AA for text


@lru_cache(maxsize=1)
def fonts_dir() -> Path:
    """Folder of the DejaVu fonts that ship with matplotlib, found without importing it.

    Raises:
        GenerationError: if matplotlib is not installed.
    """
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(str(spec.origin if spec else "")).parent / "mpl-data" / "fonts" / "ttf"
    if not (folder / "DejaVuSans-Bold.ttf").is_file():
        raise GenerationError("the DejaVu fonts of matplotlib are missing; install matplotlib")
    return folder


@lru_cache(maxsize=64)
def font(size: int, *, bold: bool = True) -> ImageFont.FreeTypeFont:
    """DejaVu Sans in a pixel size."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(fonts_dir() / name), size)


def rgb(color: str) -> Rgb:
    """`#rrggbb` as numbers."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def hexadecimal(color: Rgb) -> str:
    """Numbers as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def luminance(color: Rgb) -> float:
    """Relative luminance of WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    channels = [value / 255 for value in color]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: Rgb, second: Rgb) -> float:
    """Contrast ratio of WCAG 2.2, from 1 (none) to 21 (black on white)."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """`share` of the second colour in the first."""
    mixed = [round(a + (b - a) * share) for a, b in zip(first, second, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def readable(color: Rgb, background: Rgb, least: float = MIN_CONTRAST) -> Rgb:
    """The colour, moved towards white or black until its contrast is at least `least`."""
    goal = WHITE if contrast(WHITE, background) >= contrast(INK, background) else INK
    for step in range(11):
        mixed = mix(color, goal, step / 10)
        if contrast(mixed, background) >= least:
            return mixed
    return goal


def palette(colors: Sequence[str]) -> tuple[Rgb, Rgb, Rgb]:
    """Dark base, main colour and accent from a channel's brand colours."""
    given = [rgb(color) for color in colors] or [rgb("#10243f")]
    base = mix(min(given, key=luminance), INK, 0.35)
    main = given[1] if len(given) > 1 else mix(given[0], WHITE, 0.25)
    accent = readable(max(given, key=luminance), base)
    return base, main, accent


def gradient(size: tuple[int, int], start: Rgb, end: Rgb, angle: float) -> Image.Image:
    """A linear gradient; `angle` in radians, 0 from left to right."""
    width, height = size
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    along = x * np.cos(angle) + y * np.sin(angle)
    share = ((along - along.min()) / np.ptp(along))[..., None]
    first, last = np.array(start, np.float32), np.array(end, np.float32)
    # A little noise hides the steps that 8 bits leave in dark gradients.
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, (height, width, 1)).astype(np.float32)
    pixels = first + (last - first) * share + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def glow(image: Image.Image, center: tuple[float, float], radius: float, color: Rgb) -> None:
    """Lay a soft light on a picture; centre and radius are shares of its size."""
    width, height = image.size
    x, y, r = center[0] * width, center[1] * height, radius * width
    small = Image.new("L", (width // 8, height // 8), 0)
    ImageDraw.Draw(small).ellipse([(x - r) / 8, (y - r) / 8, (x + r) / 8, (y + r) / 8], fill=120)
    mask = small.filter(ImageFilter.GaussianBlur(r / 20)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    image.paste(Image.new("RGB", image.size, color), (0, 0), mask)


def wrap(text: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines no wider than `width` pixels; a word that is wider alone is cut."""
    lines: list[str] = []
    for word in text.split():
        while face.getlength(word) > width and len(word) > 1:
            word = word[:-1]
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and face.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def fit(text: str, box: tuple[int, int], largest: int, smallest: int) -> tuple[int, list[str]]:
    """The largest font size at which a text fits a box, and its lines.

    A text too long for the smallest size is shortened with an ellipsis.
    """
    width, height = box
    for size in range(largest, smallest - 1, -2):
        lines = wrap(text, font(size), width)
        whole = all(font(size).getlength(word) <= width for word in text.split())
        if whole and len(lines) * line_height(size) <= height:
            return size, lines
    lines = wrap(text, font(smallest), width)
    room = max(1, height // line_height(smallest))
    if len(lines) > room:
        lines = [*lines[: room - 1], lines[room - 1].rstrip(" .,") + "..."]
    return smallest, lines


def line_height(size: int) -> int:
    """Distance between two base lines."""
    return round(size * 1.2)


def write_lines(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    lines: Sequence[str],
    size: int,
    color: Rgb,
    *,
    bold: bool = True,
    shadow: bool = False,
) -> int:
    """Write lines from the top left corner on; returns the y below them."""
    x, y = at
    for line in lines:
        if shadow:
            offset = max(2, size // 24)
            draw.text(
                (x + offset, y + offset), line, font=font(size, bold=bold), fill=(0, 0, 0, 150)
            )
        draw.text((x, y), line, font=font(size, bold=bold), fill=(*color, 255))
        y += line_height(size)
    return y


def curve_points(
    values: Sequence[float], box: Box, low: float, high: float
) -> list[tuple[float, float]]:
    """Pixel positions of equally spaced values inside a box (left, top, right, bottom)."""
    left, top, right, bottom = box
    step = (right - left) / (len(values) - 1)
    span = (high - low) or 1.0
    return [
        (left + i * step, bottom - (value - low) / span * (bottom - top))
        for i, value in enumerate(values)
    ]


def mean_color(image: Image.Image, box: Box) -> Rgb:
    """Mean colour of a region."""
    pixels: NDArray[np.uint8] = np.asarray(image.crop(box).convert("RGB"))
    red, green, blue = (round(float(value)) for value in pixels.reshape(-1, 3).mean(axis=0))
    return red, green, blue

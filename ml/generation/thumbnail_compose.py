"""Draws thumbnails: five layouts in four colour schemes, text that can be read on any of them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from ml.generation import drawing
from ml.generation.brief import VideoBrief
from ml.generation.stills import nice_axis, time_points
from ml.generation.text import clean, count, latin
from ml.generation.thumbnail_score import nearest_ground

SIZE = (1280, 720)
MARGIN = 64
# Players lay the duration over the lower right corner; no text of ours stands there.
CORNER: drawing.Box = (1080, 640, 1280, 720)

_UPSIDE_DOWN = Image.Transpose.FLIP_TOP_BOTTOM
_CAPITALS = 0.73  # height of DejaVu Sans' capitals in em
_BADGE_HEIGHT = 84


@dataclass(frozen=True)
class Layout:
    """Where things stand.

    Attributes:
        text: of the headline.
        largest: its font size at most.
        curve: where the trend's curve runs, if it is drawn.
        figure: where the change stands in large letters, if it does.
        arrow: where an arrow shows its direction, if it does.
        badge: where the small labels begin.
    """

    name: str
    text: drawing.Box
    largest: int
    badge: tuple[int, int]
    curve: drawing.Box | None = None
    figure: drawing.Box | None = None
    arrow: drawing.Box | None = None
    band: int | None = None


_WITH_SERIES = (
    Layout("banner", (64, 128, 1216, 410), 148, (64, 596), curve=(64, 440, 1150, 650)),
    Layout("split", (64, 128, 690, 570), 148, (64, 596), curve=(740, 130, 1190, 600)),
    Layout(
        "figure", (64, 400, 850, 600), 96, (64, 612),
        figure=(64, 110, 850, 380), curve=(890, 150, 1206, 640),
    ),
    Layout("band", (64, 440, 1216, 636), 120, (700, 36), curve=(64, 140, 1216, 350), band=410),
    Layout("arrow", (64, 128, 800, 570), 148, (64, 596), arrow=(850, 120, 1200, 600)),
)  # fmt: skip
_PLAIN = (
    Layout("plain", (64, 150, 1000, 570), 148, (64, 596)),
    Layout("low band", (64, 440, 1216, 636), 120, (64, 300), band=410),
)


@dataclass(frozen=True)
class Scheme:
    """Colours: of the ground from one side to the other, of the text, and what stands out."""

    name: str
    start: drawing.Rgb
    end: drawing.Rgb
    ink: drawing.Rgb
    accent: drawing.Rgb


@dataclass(frozen=True)
class Drawn:
    """A thumbnail.

    Attributes:
        contrast: WCAG ratio of the headline to its ground.
        letters: height of its capitals in pixels.
        boxes: everything that is written.
    """

    image: Image.Image
    contrast: float
    letters: int
    layout: str
    scheme: str
    boxes: tuple[drawing.Box, ...]


def schemes(brief: VideoBrief) -> tuple[Scheme, ...]:
    """The channel's colours, four ways."""
    base, main, accent = drawing.palette(brief.channel.brand_colors)
    dark, white = drawing.INK, drawing.WHITE
    on_accent = drawing.readable(dark, accent, 7.0)
    return (
        Scheme("bright", base, main, white, accent),
        Scheme("deep", base, drawing.mix(main, dark, 0.6), white, accent),
        Scheme(
            "accent", accent, drawing.mix(accent, white, 0.3), on_accent,
            drawing.readable(base, accent),
        ),
        Scheme("ink", dark, base, drawing.readable(accent, dark, 7.0), white),
    )  # fmt: skip


def compose(
    brief: VideoBrief, topic: str, number: int, background: Image.Image | None = None
) -> Drawn:
    """Draw one variant; neighbouring numbers differ in layout, colours and crop.

    Args:
        brief: gives colours, name and curve.
        topic: the headline.
        number: of the variant, from 0.
        background: a picture to put behind it in place of the drawn ground.
    """
    rng = random.Random(brief.seed * 1000 + number)  # noqa: S311 - variety, not security
    layouts, all_schemes = _WITH_SERIES if brief.series else _PLAIN, schemes(brief)
    layout = layouts[number % len(layouts)]
    scheme = all_schemes[(number + number // len(layouts)) % len(all_schemes)]
    image = _ground(scheme, rng) if background is None else cropped(background, rng)
    if layout.curve and brief.series:
        _curve(image, brief, scheme, layout.curve)
    elif not brief.series:
        _rings(image, scheme, rng)
    if layout.arrow:
        _arrow(image, brief, scheme, layout.arrow)
    if layout.band is not None:
        # Opaque enough for the text, whatever lies below.
        _band(image, scheme, layout.band)
    return _written(image, brief, topic, layout, scheme)


def cropped(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A part of a picture in the shape of a thumbnail; another part every time."""
    zoom = rng.uniform(1.0, 1.25)
    scale = max(SIZE[0] / picture.width, SIZE[1] / picture.height) * zoom
    large = picture.convert("RGB").resize(
        (round(picture.width * scale) + 1, round(picture.height * scale) + 1),
        Image.Resampling.LANCZOS,
    )
    left = round(rng.random() * (large.width - SIZE[0]))
    top = round(rng.random() * (large.height - SIZE[1]))
    return large.crop((left, top, left + SIZE[0], top + SIZE[1]))


def _ground(scheme: Scheme, rng: random.Random) -> Image.Image:
    image = drawing.gradient(SIZE, scheme.start, scheme.end, rng.uniform(0.2, 1.2))
    light = drawing.mix(scheme.end, drawing.WHITE, 0.25)
    drawing.glow(image, (rng.uniform(0.6, 0.9), rng.uniform(0.2, 0.7)), 0.3, light)
    return image


def _curve(image: Image.Image, brief: VideoBrief, scheme: Scheme, box: drawing.Box) -> None:
    """The measured curve, large, its area fading out."""
    low, high, _ = nice_axis([point.value for point in brief.series])
    peak = max(point.value for point in brief.series) or 1.0
    points = time_points(brief.series, box, low, min(high, peak * 1.02))
    area = Image.new("L", SIZE, 0)
    ImageDraw.Draw(area).polygon([*points, (box[2], SIZE[1]), (box[0], SIZE[1])], fill=150)
    fade = Image.linear_gradient("L").resize((1, SIZE[1] - box[1])).transpose(_UPSIDE_DOWN)
    ramp = Image.new("L", SIZE, 255)
    ramp.paste(fade.resize((SIZE[0], SIZE[1] - box[1])), (0, box[1]))
    image.paste(Image.new("RGB", SIZE, scheme.accent), (0, 0), ImageChops.multiply(area, ramp))
    layer = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.line(points, fill=(*scheme.accent, 255), width=16, joint="curve")
    x, y = points[-1]
    draw.ellipse([x - 24, y - 24, x + 24, y + 24], fill=(*scheme.ink, 255))
    _glowing(image, layer)


def _rings(image: Image.Image, scheme: Scheme, rng: random.Random) -> None:
    layer = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    x, y = rng.randint(1000, 1120), rng.randint(260, 460)
    for radius in (120, 210, 300):
        draw.ellipse(
            [x - radius, y - radius, x + radius, y + radius],
            outline=(*scheme.accent, 110), width=14,
        )  # fmt: skip
    _glowing(image, layer)


def _arrow(image: Image.Image, brief: VideoBrief, scheme: Scheme, box: drawing.Box) -> None:
    """A large arrow in the direction that the curve has gone."""
    left, top, right, bottom = box
    middle, shaft, head = (left + right) / 2, (right - left) * 0.2, (bottom - top) * 0.42
    points = [
        (middle, top), (right, top + head), (middle + shaft, top + head),
        (middle + shaft, bottom), (middle - shaft, bottom), (middle - shaft, top + head),
        (left, top + head),
    ]  # fmt: skip
    if brief.series[-1].value < brief.series[0].value:
        points = [(x, top + bottom - y) for x, y in points]
    layer = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    ImageDraw.Draw(layer).polygon(points, fill=(*scheme.accent, 255))
    _glowing(image, layer)


def _glowing(image: Image.Image, layer: Image.Image) -> None:
    soft = layer.filter(ImageFilter.GaussianBlur(14))
    image.paste(soft, (0, 0), soft)
    image.paste(layer, (0, 0), layer)


def _band(image: Image.Image, scheme: Scheme, top: int) -> None:
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, top, SIZE[0], SIZE[1]], fill=scheme.start)
    draw.rectangle([0, top, SIZE[0], top + 12], fill=scheme.accent)


def _written(
    image: Image.Image, brief: VideoBrief, topic: str, layout: Layout, scheme: Scheme
) -> Drawn:
    left, top, right, bottom = layout.text
    size, lines = drawing.fit(
        latin(topic).upper(), (right - left, bottom - top), layout.largest, 56
    )
    height = len(lines) * drawing.line_height(size)
    widest = round(max(drawing.font(size).getlength(line) for line in lines))
    box = (left, top, left + widest, top + height)
    boxes = [box]
    ratio = shade(image, box, scheme.ink)
    draw = ImageDraw.Draw(image, "RGBA")
    shadow = drawing.luminance(scheme.ink) > 0.5
    if layout.figure:
        boxes.append(_figure(image, brief, scheme, layout.figure))
        draw = ImageDraw.Draw(image, "RGBA")
    name = latin(clean(brief.channel.name, 24)).upper()
    head = (MARGIN, 56, MARGIN + round(drawing.font(36).getlength(name)), 100)
    ink = drawing.readable(scheme.accent, drawing.mean_color(image, head))
    drawing.write_lines(draw, head[:2], [name], 36, ink)
    drawing.write_lines(draw, box[:2], lines, size, scheme.ink, shadow=shadow)
    boxes += [head, *_badges(draw, brief, scheme, layout)]
    letters = round(size * _CAPITALS)
    return Drawn(image, ratio, letters, layout.name, scheme.name, tuple(boxes))


def shade(image: Image.Image, box: drawing.Box, ink: drawing.Rgb) -> float:
    """Move the ground of a text away from its ink until it can be read; returns the contrast."""
    left, top, right, bottom = box
    away = drawing.INK if drawing.luminance(ink) > 0.18 else drawing.WHITE
    ratio, shaded = 0.0, image
    for strength in range(0, 256, 25):
        mask = Image.new("L", SIZE, 0)
        ImageDraw.Draw(mask).rectangle(
            [left - 40, top - 20, right + 20, bottom + 20], fill=strength
        )
        mask = mask.filter(ImageFilter.GaussianBlur(36))
        shaded = Image.composite(Image.new("RGB", SIZE, away), image, mask)
        ratio = drawing.contrast(ink, nearest_ground(shaded, box, ink))
        if ratio >= drawing.MIN_CONTRAST:
            break
    image.paste(shaded)
    return round(ratio, 2)


def _figure(image: Image.Image, brief: VideoBrief, scheme: Scheme, box: drawing.Box) -> drawing.Box:
    """How the series changed, as large as the box allows."""
    text = change(brief)
    size, lines = drawing.fit(text, (box[2] - box[0], box[3] - box[1]), 260, 90)
    wide = round(drawing.font(size).getlength(lines[0]))
    taken = (box[0], box[1], box[0] + wide, box[1] + drawing.line_height(size))
    shade(image, taken, scheme.accent)
    ground = nearest_ground(image, taken, scheme.accent)
    ink = drawing.readable(scheme.accent, ground)
    drawing.write_lines(ImageDraw.Draw(image, "RGBA"), box[:2], lines[:1], size, ink)
    return taken


def _badges(
    draw: ImageDraw.ImageDraw, brief: VideoBrief, scheme: Scheme, layout: Layout
) -> list[drawing.Box]:
    labels = [change(brief)] if brief.series and not layout.figure else []
    labels += ["SYNTHETIC DATA"] if brief.synthetic else []
    (x, y), boxes = layout.badge, []
    ink = drawing.readable(drawing.INK, scheme.accent, 7.0)
    for label in filter(None, labels):
        wide = round(drawing.font(44).getlength(label)) + 56
        if x + wide > SIZE[0] - 8 or (y + _BADGE_HEIGHT > CORNER[1] and x + wide > CORNER[0]):
            break
        box = (x, y, x + wide, y + _BADGE_HEIGHT)
        draw.rounded_rectangle(box, radius=20, fill=(*scheme.accent, 255))
        draw.text((x + 28, y + 42), label, font=drawing.font(44), fill=(*ink, 255), anchor="lm")
        boxes.append(box)
        x += wide + 24
    return boxes


def change(brief: VideoBrief) -> str:
    """How the series changed, as a short label; the last value when it starts at zero."""
    first, last = brief.series[0].value, brief.series[-1].value
    if first <= 0 or last == first:
        return f"{count(last)} {latin(clean(brief.series_label, 20))}".upper()
    factor = last / first
    return f"x{factor:.1f}" if factor >= 2 else f"{100 * (factor - 1):+.0f} %"

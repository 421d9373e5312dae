"""Stage 3: the thumbnail, composed: brand gradient, the trend's curve, text that can be read."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from ml.generation import drawing
from ml.generation.brief import VideoBrief
from ml.generation.script import Storyboard
from ml.generation.stage import StageContext, StageOutput
from ml.generation.stills import nice_axis, time_points
from ml.generation.text import clean, count, latin

CODE_VERSION = "1"
SIZE = (1280, 720)
MAX_BYTES = 2_000_000  # YouTube takes thumbnails of up to 2 MB
VARIANTS = 3

_MARGIN = 64
_UPSIDE_DOWN = Image.Transpose.FLIP_TOP_BOTTOM
# Players lay the duration over the lower right corner; nothing of ours stands there.
_CORNER = (1080, 640, 1280, 720)


@dataclass(frozen=True)
class _Layout:
    """Where the headline may stand, where the curve runs, and where badges begin."""

    text: drawing.Box
    curve: drawing.Box
    badge: tuple[int, int]


_LAYOUTS = (
    _Layout((64, 128, 1216, 410), (64, 440, 1150, 650), (64, 596)),
    _Layout((64, 128, 690, 570), (740, 130, 1190, 600), (64, 596)),
)
_PLAIN = _Layout((64, 150, 1000, 570), (0, 0, 0, 0), (64, 596))


@dataclass(frozen=True)
class TechnicalScore:
    """What can be measured about a picture. It says nothing about whether people click.

    Attributes:
        sharpness: variance of the Laplacian of the grey picture, 500 and more counting as 1.
        contrast: WCAG ratio of the headline to the brightest part of its ground.
        text_height: height of the headline's letters as a share of the picture.
        score: mean of sharpness, contrast/7 (level AAA) and text_height/0.1, each at most 1.
    """

    sharpness: float
    contrast: float
    text_height: float
    score: float


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Write three variants and `thumbnail.jpg`, the one with the best technical score."""
    board = Storyboard.model_validate_json(
        context.inputs["script"]["storyboard.json"].read_text(encoding="utf-8")
    )
    files, scores = {}, {}
    for number in range(VARIANTS):
        image, contrast, letters = compose(context.brief, board.topic, number)
        name = f"thumbnail-{number + 1}.jpg"
        files[name] = save_jpeg(image, context.work / name)
        scores[name] = measure(image, contrast, letters)
    best = max(scores, key=lambda name: scores[name].score)
    files["thumbnail.jpg"] = context.work / "thumbnail.jpg"
    files["thumbnail.jpg"].write_bytes(files[best].read_bytes())
    metrics = {
        "technical_scores": {name: asdict(score) for name, score in scores.items()},
        "recommended": best,
        "predicted_ctr": None,
        "predicted_ctr_reason": "no trained click-through model yet",
    }
    return StageOutput("composer/pillow", files, metrics)


def compose(brief: VideoBrief, topic: str, number: int) -> tuple[Image.Image, float, int]:
    """Draw one variant.

    Returns:
        The picture, the contrast ratio of its headline and the height of its letters in pixels.
    """
    rng = random.Random(brief.seed * 1000 + number)  # noqa: S311 - variety, not security
    base, main, accent = drawing.palette(brief.channel.brand_colors)
    if number == 1:
        main, base = base, drawing.mix(main, drawing.INK, 0.3)
    elif number == 2:
        main = drawing.mix(main, drawing.INK, 0.6)
    image = drawing.gradient(SIZE, base, main, rng.uniform(0.2, 1.2))
    drawing.glow(image, (0.82, 0.3), 0.3, drawing.mix(main, drawing.WHITE, 0.25))
    layout = _LAYOUTS[number % 2] if brief.series else _PLAIN
    _motif(image, brief, accent, layout.curve)
    left, top, right, bottom = layout.text
    size, lines = drawing.fit(latin(topic).upper(), (right - left, bottom - top), 148, 56)
    height = len(lines) * drawing.line_height(size)
    widest = max(drawing.font(size).getlength(line) for line in lines)
    box = (left, top, left + round(widest), top + height)
    ratio = _shade(image, box)
    draw = ImageDraw.Draw(image, "RGBA")
    name = latin(clean(brief.channel.name, 40)).upper()
    ink = drawing.readable(accent, drawing.mean_color(image, (_MARGIN, _MARGIN, 500, top)))
    drawing.write_lines(draw, (_MARGIN, _MARGIN), [name], 36, ink, shadow=True)
    drawing.write_lines(draw, (box[0], box[1]), lines, size, drawing.WHITE, shadow=True)
    _badges(draw, brief, accent, layout.badge)
    return image, ratio, round(size * 0.73)  # capitals of DejaVu Sans are 0.73 em high


def _motif(image: Image.Image, brief: VideoBrief, accent: drawing.Rgb, box: drawing.Box) -> None:
    """The measured curve, large, its area fading out; without one, rings."""
    layer = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    if brief.series:
        low, high, _ = nice_axis([point.value for point in brief.series])
        points = time_points(brief.series, box, low, min(high, _peak(brief) * 1.02))
        area = Image.new("L", SIZE, 0)
        ImageDraw.Draw(area).polygon([*points, (box[2], SIZE[1]), (box[0], SIZE[1])], fill=150)
        fade = Image.linear_gradient("L").resize((1, SIZE[1] - box[1])).transpose(_UPSIDE_DOWN)
        ramp = Image.new("L", SIZE, 255)
        ramp.paste(fade.resize((SIZE[0], SIZE[1] - box[1])), (0, box[1]))
        image.paste(Image.new("RGB", SIZE, accent), (0, 0), ImageChops.multiply(area, ramp))
        draw.line(points, fill=(*accent, 255), width=16, joint="curve")
        x, y = points[-1]
        draw.ellipse([x - 24, y - 24, x + 24, y + 24], fill=(255, 255, 255, 255))
    else:
        for radius in (120, 210, 300):
            draw.ellipse(
                [1060 - radius, 430 - radius, 1060 + radius, 430 + radius],
                outline=(*accent, 110), width=14,
            )  # fmt: skip
    soft = layer.filter(ImageFilter.GaussianBlur(14))
    image.paste(soft, (0, 0), soft)
    image.paste(layer, (0, 0), layer)


def _peak(brief: VideoBrief) -> float:
    return max(point.value for point in brief.series) or 1.0


def _shade(image: Image.Image, box: drawing.Box) -> float:
    """Darken the ground of the headline until white text on its brightest part can be read."""
    left, top, right, bottom = box
    for strength in range(80, 256, 25):
        mask = Image.new("L", SIZE, 0)
        ImageDraw.Draw(mask).rectangle(
            [left - 40, top - 20, right + 20, bottom + 20], fill=strength
        )
        mask = mask.filter(ImageFilter.GaussianBlur(36))
        shaded = Image.composite(Image.new("RGB", SIZE, drawing.INK), image, mask)
        ratio = drawing.contrast(drawing.WHITE, brightest(shaded, box))
        if ratio >= drawing.MIN_CONTRAST:
            break
    image.paste(shaded)
    return round(ratio, 2)


def brightest(image: Image.Image, box: drawing.Box) -> drawing.Rgb:
    """The colour at the 98th percentile of brightness in a region."""
    pixels = np.asarray(image.crop(box).convert("RGB")).reshape(-1, 3)
    order = np.argsort(pixels @ np.array([0.2126, 0.7152, 0.0722]))
    red, green, blue = (int(value) for value in pixels[order[int(0.98 * (len(order) - 1))]])
    return red, green, blue


def _badges(
    draw: ImageDraw.ImageDraw, brief: VideoBrief, accent: drawing.Rgb, at: tuple[int, int]
) -> None:
    labels = [_change(brief)] if brief.series else []
    labels += ["SYNTHETIC DATA"] if brief.synthetic else []
    x, y = at
    ink = drawing.readable(drawing.INK, accent)
    for label in filter(None, labels):
        face = drawing.font(44)
        wide = round(face.getlength(label)) + 56
        if x + wide > _CORNER[0]:
            return
        draw.rounded_rectangle([x, y, x + wide, y + 84], radius=20, fill=(*accent, 255))
        draw.text((x + 28, y + 42), label, font=face, fill=(*ink, 255), anchor="lm")
        x += wide + 24


def _change(brief: VideoBrief) -> str:
    """How the series changed, as a short label; nothing when it starts at zero or stands still."""
    first, last = brief.series[0].value, brief.series[-1].value
    if first <= 0 or last == first:
        return f"{count(last)} {latin(clean(brief.series_label, 20))}".upper()
    factor = last / first
    return f"x{factor:.1f}" if factor >= 2 else f"{100 * (factor - 1):+.0f} %"


def measure(image: Image.Image, contrast: float, letters: int) -> TechnicalScore:
    """Score a picture technically."""
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    laplacian = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    )
    sharpness, height = float(laplacian.var()), letters / SIZE[1]
    parts = (min(1.0, sharpness / 500), min(1.0, contrast / 7), min(1.0, height / 0.1))
    return TechnicalScore(
        round(sharpness, 1), contrast, round(height, 4), round(sum(parts) / len(parts), 4)
    )


def save_jpeg(image: Image.Image, path: Path) -> Path:
    """Write a JPEG of at most two megabytes."""
    for quality in (92, 85, 75, 60):
        image.save(path, "JPEG", quality=quality, optimize=True)
        if path.stat().st_size < MAX_BYTES:
            break
    return path

"""What can be measured about a thumbnail. It says nothing about whether people click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ml.generation import drawing

_LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class TechnicalScore:
    """What can be measured about a picture.

    Attributes:
        sharpness: variance of the Laplacian of the grey picture, 500 and more counting as 1.
        spread: standard deviation of the grey picture, 50 and more counting as 1.
        contrast: WCAG ratio of the headline to the part of its ground that is most like it.
        text_height: height of the headline's letters as a share of the picture.
        score: mean of sharpness, spread, contrast/7 (level AAA) and text_height/0.1, each at most
            1.
    """

    sharpness: float
    spread: float
    contrast: float
    text_height: float
    score: float


def score(image: Image.Image, contrast: float, letters: int) -> TechnicalScore:
    """Score a picture whose headline has that contrast, and letters of that many pixels."""
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    laplacian = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    )
    sharpness, spread, height = float(laplacian.var()), float(grey.std()), letters / image.height
    parts = (sharpness / 500, spread / 50, contrast / 7, height / 0.1)
    mean = sum(min(1.0, part) for part in parts) / len(parts)
    return TechnicalScore(
        round(sharpness, 1), round(spread, 1), contrast, round(height, 4), round(mean, 4)
    )


def nearest_ground(image: Image.Image, box: drawing.Box, ink: drawing.Rgb) -> drawing.Rgb:
    """The colour of a region that is hardest to tell from `ink`, one in fifty left out."""
    pixels = np.asarray(image.crop(box).convert("RGB")).reshape(-1, 3)
    order = np.argsort(pixels @ _LUMA)
    share = 0.98 if drawing.luminance(ink) > 0.5 else 0.02
    red, green, blue = (int(value) for value in pixels[order[int(share * (len(order) - 1))]])
    return red, green, blue

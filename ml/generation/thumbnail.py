"""Stage 3: the thumbnail. Variants are drawn, scored technically, and the best one recommended.

The ground is drawn, or painted by a diffusion model where its weights are configured; the text is
always ours, since such models cannot write.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from PIL import Image

from ml.generation import thumbnail_diffusion
from ml.generation.script import Storyboard
from ml.generation.stage import StageContext, StageOutput
from ml.generation.thumbnail_compose import compose
from ml.generation.thumbnail_score import score
from ml.safety import nsfw

CODE_VERSION = "2"
MAX_BYTES = 2_000_000  # YouTube takes thumbnails of up to 2 MB


def code_version() -> str:
    """Version of the stage."""
    return CODE_VERSION


def run(context: StageContext) -> StageOutput:
    """Write the variants and `thumbnail.jpg`, the one with the best technical score."""
    brief, settings = context.brief, context.settings
    board = Storyboard.model_validate_json(
        context.inputs["script"]["storyboard.json"].read_text(encoding="utf-8")
    )
    numbers = range(settings.thumbnail_variants)
    painted: list[thumbnail_diffusion.Painting] = []
    provider = "composer/pillow"
    if settings.thumbnail_model_path is not None:
        painted = thumbnail_diffusion.paint(brief, board, settings, len(numbers))
        provider = f"diffusers/{settings.thumbnail_model_path.name}"
    files, scores, drawn_as = {}, {}, {}
    for number in numbers:
        picture = painted[number] if painted else None
        drawn = compose(brief, board.topic, number, picture.image if picture else None)
        name = f"thumbnail-{number + 1}.jpg"
        files[name] = save_jpeg(drawn.image, context.work / name)
        scores[name] = score(drawn.image, drawn.contrast, drawn.letters)
        drawn_as[name] = {"layout": drawn.layout, "scheme": drawn.scheme}
        drawn_as[name] |= {"prompt": picture.prompt} if picture else {}
    unsafe, reason = nsfw.scores(list(files.values()), timeout_s=context.timeout_s)
    best = max(scores, key=lambda name: scores[name].score)
    files["thumbnail.jpg"] = context.work / "thumbnail.jpg"
    files["thumbnail.jpg"].write_bytes(files[best].read_bytes())
    metrics = {
        "technical_scores": {name: asdict(found) for name, found in scores.items()},
        "variants": drawn_as,
        "recommended": best,
        "nsfw": unsafe[list(scores).index(best)] if unsafe else None,
        "nsfw_reason": reason,
        "predicted_ctr": None,
        "predicted_ctr_reason": "no trained click-through model yet",
    }
    return StageOutput(provider, files, metrics)


def save_jpeg(image: Image.Image, path: Path) -> Path:
    """Write a JPEG of at most two megabytes."""
    for quality in (92, 85, 75, 60):
        image.save(path, "JPEG", quality=quality, optimize=True)
        if path.stat().st_size < MAX_BYTES:
            break
    return path

"""Thumbnails for a caller, by the composer of the generation pipeline."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import Any

from ml.exceptions import RequestError
from ml.generation.brief import ChannelBrief, VideoBrief
from ml.generation.text import clean, latin, words
from ml.generation.thumbnail import save_jpeg
from ml.generation.thumbnail_compose import compose
from ml.generation.thumbnail_score import score
from ml.jobs.run import Task
from ml.planning.channels import read_channels
from ml.serving.work_schemas import (
    GenerationDetails,
    Thumbnail,
    ThumbnailAnswer,
    ThumbnailElements,
    ThumbnailRequest,
)

_MODEL = "composer/pillow"
_REASONS = {
    "thumbnails.predicted_ctr": "no model has learnt from clicks yet",
    "generation_details.inference_steps": "drawn, not diffused",
    "generation_details.guidance_scale": "drawn, not diffused",
}


def draw(task: Task, request: Mapping[str, Any]) -> ThumbnailAnswer:
    """Draw the variants of a request.

    Raises:
        RequestError: if neither the headline nor the title has letters that can be drawn.
    """
    wanted = ThumbnailRequest.model_validate(request)
    headline, brief = _headline(wanted), _brief(task, wanted)
    variants: list[Thumbnail] = []
    for number in range(wanted.variations):
        task.report("drawing", number / wanted.variations)
        drawn = compose(brief, headline, number)
        path = save_jpeg(drawn.image, task.work / f"thumbnail-{number + 1}.jpg")
        variants.append(
            Thumbnail(
                variant_id=f"variant_{number + 1}",
                image_url=task.keep(path),
                predicted_ctr=None,
                quality_score=score(drawn.image, drawn.contrast, drawn.letters).score,
                ab_test_group=string.ascii_uppercase[number],
            )
        )
    return ThumbnailAnswer(
        thumbnail_id=task.job_id,
        thumbnails=variants,
        recommended_variant=max(variants, key=lambda variant: variant.quality_score).variant_id,
        generation_details=GenerationDetails(
            model=_MODEL, inference_steps=None, guidance_scale=None
        ),
        cost=0.0,
        reasons={**_REASONS, **dict(_not_used(wanted))},
    )


def _headline(wanted: ThumbnailRequest) -> str:
    overlay = wanted.elements.text_overlay
    for text in (overlay and overlay.main_text, wanted.video_title, wanted.video_topic):
        drawable = latin(clean(text or "", 80))
        if words(drawable):
            return drawable
    raise RequestError("neither the headline nor the title has words in Latin letters")


def _brief(task: Task, wanted: ThumbnailRequest) -> VideoBrief:
    own = read_channels()[0].brief()
    # The composer takes a dark, a main and an accent colour; what is not given is the channel's.
    given = tuple(wanted.elements.brand_colors)[:3]
    colours = (*given, *own.brand_colors[len(given) :])
    return VideoBrief(
        video_id=f"job-{task.job_id}",
        channel=ChannelBrief(channel_id=own.channel_id, name=own.name, brand_colors=colours),
        topic=_headline(wanted),
        seed=task.seed,
        as_of="1970-01-01T00:00:00Z",
    )


def _not_used(wanted: ThumbnailRequest) -> Iterator[tuple[str, str]]:
    elements: ThumbnailElements = wanted.elements
    if elements.include_face or elements.face_expression:
        yield "elements.include_face", "the composer draws no faces"
    overlay = elements.text_overlay
    if overlay is not None and (overlay.subtext or overlay.position):
        yield "elements.text_overlay", "the headline is used; its place is the composer's"
    if elements.background not in (None, "gradient"):
        yield "elements.background", "the composer draws gradients"
    if wanted.style is not None:
        yield "style", "variants differ by colours and layout; there are no styles"
    if wanted.target_ctr is not None:
        yield "target_ctr", "no model has learnt from clicks yet"

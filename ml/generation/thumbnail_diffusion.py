"""Paints grounds of thumbnails with a Stable Diffusion XL pipeline from a local folder.

Styles, prompts, guidance and steps are those of the system design; the number of steps and the
guidance can be set. Nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ml.exceptions import ConfigurationError
from ml.generation.brief import VideoBrief
from ml.generation.script import Storyboard
from ml.generation.text import clean, content_words, latin
from ml.settings import Settings


@dataclass(frozen=True)
class Style:
    """How a kind of channel looks."""

    prefix: str
    negative: str
    guidance: float
    steps: int


STYLES = {
    "tech": Style(
        "modern tech YouTube thumbnail, vibrant colors, professional",
        "blurry, low quality, text, watermark", 7.5, 30,
    ),
    "entertainment": Style(
        "exciting YouTube thumbnail, high energy, eye-catching",
        "boring, dull, low contrast, text, watermark", 8.0, 35,
    ),
    "educational": Style(
        "clean educational YouTube thumbnail, clear, informative",
        "cluttered, confusing, too busy, text, watermark", 7.0, 25,
    ),
}  # fmt: skip
_NICHES = {
    "tech": ("tech", "comput", "software", "gadget", "phone"),
    "educational": ("educat", "science", "history", "news", "howto", "how-to", "learn"),
}
_VIEWS = (
    "close-up, shallow depth of field", "wide shot, dramatic light", "from above, clean background",
    "low angle, strong colours", "soft morning light",
)  # fmt: skip


@dataclass(frozen=True)
class Painting:
    """A picture and the prompt that it was painted from."""

    image: Image.Image
    prompt: str


def style_of(niche: str) -> str:
    """Name of the style of a niche; entertainment when nothing fits better."""
    lowered = niche.lower()
    found = (name for name, stems in _NICHES.items() if any(stem in lowered for stem in stems))
    return next(found, "entertainment")


def prompts(brief: VideoBrief, board: Storyboard, number: int) -> str:
    """The prompt of a variant: style, topic, what the scenes show, and a view of its own."""
    style = STYLES[style_of(brief.channel.niche)]
    cues = [scene.visual_cue for scene in board.scenes if scene.visual_cue]
    keywords = [latin(clean(word, 30)) for word in brief.keywords[:3]]
    subject = ", ".join([latin(clean(board.topic, 80)), *cues[:2], *filter(None, keywords)])
    if not content_words(subject):
        subject = brief.channel.niche or "trending topic"
    return f"{style.prefix}, {subject}, {_VIEWS[number % len(_VIEWS)]}"


def paint(brief: VideoBrief, board: Storyboard, settings: Settings, number: int) -> list[Painting]:
    """Paint so many pictures, each from a seed of its own.

    Raises:
        ConfigurationError: if diffusers or the weights are missing.
    """
    import torch

    style = STYLES[style_of(brief.channel.niche)]
    pipeline = _pipeline(settings)
    found = []
    for n in range(number):
        prompt = prompts(brief, board, n)
        answer = pipeline(
            prompt=prompt,
            negative_prompt=style.negative,
            width=settings.thumbnail_model_width,
            height=settings.thumbnail_model_width * 9 // 16 // 8 * 8,
            guidance_scale=style.guidance
            if settings.thumbnail_guidance is None
            else settings.thumbnail_guidance,
            num_inference_steps=settings.thumbnail_steps or style.steps,
            generator=torch.Generator("cpu").manual_seed(brief.seed + n),
        )
        found.append(Painting(answer.images[0], prompt))
    return found


def _pipeline(settings: Settings) -> Any:
    if importlib.util.find_spec("diffusers") is None:
        raise ConfigurationError("THUMBNAIL_MODEL_PATH needs diffusers; install the extra `gpu`")
    folder = settings.thumbnail_model_path
    if folder is None or not (folder / "model_index.json").is_file():
        raise ConfigurationError(
            f"THUMBNAIL_MODEL_PATH={folder} has no model_index.json; point it at a diffusers folder"
        )
    import torch
    from diffusers import StableDiffusionXLPipeline

    on_gpu = torch.cuda.is_available()
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        folder, dtype=torch.float16 if on_gpu else torch.float32, use_safetensors=True,
        local_files_only=True, add_watermarker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    save_memory(pipeline, settings.thumbnail_memory, on_gpu=on_gpu)
    return pipeline


def save_memory(pipeline: Any, option: str, *, on_gpu: bool) -> None:
    """Trade speed for memory: `none`, `slices`, `model_offload` or `sequential_offload`.

    Raises:
        ConfigurationError: if something is to be offloaded from a GPU and there is none.
    """
    if option != "none":
        pipeline.vae.enable_slicing()
        pipeline.vae.enable_tiling()
        pipeline.enable_attention_slicing()
    if option.endswith("offload"):
        if not on_gpu:
            raise ConfigurationError(
                f"THUMBNAIL_MEMORY={option} needs a GPU, there is none; use `slices` or `none`"
            )
        if option == "model_offload":
            pipeline.enable_model_cpu_offload()
        else:
            pipeline.enable_sequential_cpu_offload()
    elif on_gpu:
        pipeline.to("cuda")

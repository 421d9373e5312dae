"""The diffusion path, with a Stable Diffusion XL of random weights that is built here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from PIL import Image

from ml.exceptions import ConfigurationError
from ml.generation import thumbnail_diffusion
from ml.generation.brief import ChannelBrief, VideoBrief
from ml.generation.script import Scene, Sentence, Storyboard
from ml.generation.thumbnail_diffusion import STYLES, paint, prompts, save_memory, style_of
from ml.settings import Settings

BRIEF = VideoBrief(
    video_id="v",
    channel=ChannelBrief(channel_id="c", name="Trend Lab", niche="Science & Technology"),
    topic="space telescopes", seed=5, as_of=datetime(2026, 5, 31, tzinfo=UTC),
)  # fmt: skip
LINE = [Sentence(text="A new telescope sees far.", origin="fact")]
BOARD = Storyboard(
    topic="space telescopes",
    scenes=[
        Scene(kind="title", heading="x", sentences=LINE, visual_cue="a mirror in the dark"),
        Scene(kind="outro", heading="x", sentences=LINE),
    ],
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with a whole pipeline of 13 MB, as `from_pretrained` expects it."""
    diffusers = pytest.importorskip("diffusers", reason="the extra `gpu` is not installed")
    import torch
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
    )

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("sdxl")
    letters = [chr(c) for c in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: n for n, t in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )
    size = len(vocabulary)
    text = CLIPTextConfig(
        vocab_size=size, bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1,
        hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
        projection_dim=32, max_position_embeddings=77, hidden_act="gelu",
    )  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=16, in_channels=4,
        out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 4),
        use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=80, cross_attention_dim=64,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=[32, 64], in_channels=3, out_channels=3, latent_channels=4,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
        sample_size=128,
    )  # fmt: skip
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    diffusers.StableDiffusionXLPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet,
        text_encoder_2=CLIPTextModelWithProjection(text), tokenizer_2=tokenizer,
        scheduler=scheduler, add_watermarker=False,
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip
    return folder


def settings(folder, **changes) -> Settings:
    values = {"thumbnail_model_path": folder, "thumbnail_steps": 2, "thumbnail_model_width": 128}
    return Settings().model_copy(update=values | changes)


def test_a_model_paints_the_grounds_by_seed(weights):
    first = paint(BRIEF, BOARD, settings(weights, thumbnail_memory="slices"), 2)
    again = paint(BRIEF, BOARD, settings(weights, thumbnail_memory="slices"), 2)
    assert [p.image.size for p in first] == [(128, 72)] * 2
    assert [p.image.tobytes() for p in first] == [p.image.tobytes() for p in again]
    assert first[0].image.tobytes() != first[1].image.tobytes()
    assert "a mirror in the dark" in first[0].prompt


def test_offloading_without_a_gpu_says_what_to_set(weights):
    with pytest.raises(ConfigurationError, match="THUMBNAIL_MEMORY=model_offload needs a GPU"):
        paint(BRIEF, BOARD, settings(weights, thumbnail_memory="model_offload"), 1)


def test_a_folder_without_a_model_is_named(tmp_path):
    pytest.importorskip("diffusers", reason="the extra `gpu` is not installed")
    with pytest.raises(ConfigurationError, match=r"has no model_index\.json"):
        paint(BRIEF, BOARD, settings(tmp_path), 1)


@pytest.mark.parametrize(
    ("niche", "style"),
    [("Science & Technology", "tech"), ("Education", "educational"), ("Gaming", "entertainment")],
)
def test_styles_follow_the_niche(niche, style):
    assert style_of(niche) == style
    assert STYLES[style].prefix in prompts(
        BRIEF.model_copy(update={"channel": BRIEF.channel.model_copy(update={"niche": niche})}),
        BOARD, 0,
    )  # fmt: skip


def test_every_variant_has_a_prompt_of_its_own():
    assert len({prompts(BRIEF, BOARD, number) for number in range(5)}) == 5


def test_a_guidance_of_none_at_all_is_not_the_styles(monkeypatch, tmp_path):
    asked = []

    def pipeline(**given):
        asked.append(given["guidance_scale"])
        return SimpleNamespace(images=[Image.new("RGB", (128, 72))])

    monkeypatch.setattr(thumbnail_diffusion, "_pipeline", lambda _: pipeline)
    for guidance in (0.0, None, 3.0):
        paint(BRIEF, BOARD, settings(tmp_path, thumbnail_guidance=guidance), 1)
    assert asked == [0.0, STYLES["tech"].guidance, 3.0]


def test_memory_options_reach_the_pipeline():
    asked = []

    class Pipeline:
        def __getattr__(self, name):
            return self if name == "vae" else lambda *_: asked.append(name)

    save_memory(Pipeline(), "sequential_offload", on_gpu=True)
    assert asked == [
        "enable_slicing", "enable_tiling", "enable_attention_slicing",
        "enable_sequential_cpu_offload",
    ]  # fmt: skip

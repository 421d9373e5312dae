"""How likely a language model finds a script, and how much its sentences gain from their order.

The model is the bundled small one, whoever wrote the script. It also writes scripts itself, and a
model likes its own sentences, so a high value is weaker evidence for those.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.exceptions import GenerationError
from ml.generation.threads import one_thread
from ml.settings import get_settings

MODEL = "SmolLM2-135M-Instruct"

_MAX_TOKENS, _OTHER_ORDERS = 512, 3


@dataclass(frozen=True)
class Reading:
    """Log probabilities a token, in nats, means over sentences that each follow those before.

    Attributes:
        likelihood: of the sentences in their order.
        order_gain: how much likelier that is than other orders of the same sentences; a script
            whose sentences stand in no order gains nothing.
    """

    likelihood: float
    order_gain: float


def read(sentences: Sequence[str]) -> Reading:
    """Let the model read a script in its own order and in three seeded others.

    What lies behind the 512th token is left out.
    """
    tokenizer, _ = _loaded()
    pieces: list[list[int]] = [
        tokenizer(f" {text}", add_special_tokens=False)["input_ids"] for text in sentences
    ]
    ends = np.cumsum([len(piece) for piece in pieces])
    pieces = [piece for piece, end in zip(pieces, ends, strict=True) if end <= _MAX_TOKENS]
    if not pieces:
        raise GenerationError("the first sentence of the script is longer than 512 tokens")
    rng = random.Random(0)  # noqa: S311 - the same orders every time
    orders = [pieces, *(rng.sample(pieces, len(pieces)) for _ in range(_OTHER_ORDERS))]
    rows = _chances([[token for piece in order for token in piece] for order in orders])
    means = [
        float(np.mean([part.mean() for part in np.split(row, np.cumsum([*map(len, order)])[:-1])]))
        for order, row in zip(orders, rows, strict=True)
    ]
    return Reading(means[0], means[0] - float(np.mean(means[1:])))


def _chances(rows: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
    """Log probability of every token of every row, the rows as one batch."""
    import torch

    tokenizer, model = _loaded()
    width = max(len(row) for row in rows)
    # Padded on the right: a causal model's answer for a token does not see what follows it.
    batch = torch.zeros((len(rows), width + 1), dtype=torch.long)
    batch[:, 0] = tokenizer.bos_token_id
    for number, row in enumerate(rows):
        batch[number, 1 : len(row) + 1] = torch.tensor(row)
    with one_thread(), torch.inference_mode():
        logits = model(input_ids=batch).logits[:, :-1].float()
        found = torch.log_softmax(logits, dim=-1).gather(2, batch[:, 1:, None])[..., 0].numpy()
    return [found[number, : len(row)].astype(float) for number, row in enumerate(rows)]


@lru_cache(maxsize=1)
def _loaded() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    from ml.generation.llm.local import load_options, prepare_weights

    transformers_logging.disable_progress_bar()  # it fills the logs of a task
    folder = prepare_weights(get_settings())
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    options = load_options("none", on_gpu=False)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **options)
    return tokenizer, model.eval()

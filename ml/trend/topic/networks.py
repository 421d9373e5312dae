"""Networks over the last 56 steps of a series: an LSTM and a transformer encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ml.trend.topic.plain import Arrays
from ml.trend.topic.series import WEEK, Array, Windows
from ml.trend.topic.trees import level, smoothed, spread

if TYPE_CHECKING:
    import torch

_LENGTH = 56


@dataclass(frozen=True)
class Network:
    """A sequence model that says how far smoothing is off over the next 7 days.

    Attributes:
        kind: `lstm` or `transformer` (an encoder with learned positions, Vaswani et al. 2017).
        layers: of it.
        heads: of attention; an LSTM has none.
        hidden: width.
        epochs: rounds over the windows.
        rate: learning rate of AdamW.
        batch: windows in a step.
        max_windows: to learn from; more are thinned evenly.
        seed: of weights and order.
    """

    kind: Literal["lstm", "transformer"] = "lstm"
    layers: int = 1
    heads: int = 4
    hidden: int = 32
    epochs: int = 8
    rate: float = 0.003
    batch: int = 256
    max_windows: int = 6000
    seed: int = 42

    def fit(self, windows: Windows) -> Arrays:
        """Learn from windows whose future is known, by the absolute error in usual errors."""
        import torch

        known = windows.only(~np.isnan(windows.outcome()).any(axis=1))
        known = known.only(slice(None, None, max(1, -(-len(known) // self.max_windows))))
        off = (known.outcome() - smoothed(known)) / spread(known)[:, None]
        inputs, targets = torch.from_numpy(_inputs(known)), torch.from_numpy(off).float()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = self._net(known.horizon)
            steps = self.epochs * -(-len(inputs) // self.batch)
            optimiser = torch.optim.AdamW(net.parameters(), lr=self.rate)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.rate, steps)
            net.train()
            for _ in range(self.epochs):
                for rows in torch.split(torch.randperm(len(inputs)), self.batch):
                    loss = (net(inputs[rows]) - targets[rows]).abs().mean()
                    optimiser.zero_grad()
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                    optimiser.step()
                    schedule.step()
        return {name: value.numpy() for name, value in net.state_dict().items()}

    def forecast(self, arrays: Arrays, windows: Windows) -> Array:
        """Volumes of the next 7 days, shape (windows, horizon)."""
        import torch

        net = self._net(windows.horizon)
        net.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
        net.eval()
        with torch.no_grad():
            parts = torch.split(torch.from_numpy(_inputs(windows)), 4096)
            off = np.concatenate([net(part).numpy() for part in parts]).astype(np.float64)
        return np.asarray(np.maximum(smoothed(windows) + off * spread(windows)[:, None], 0))

    def _net(self, horizon: int) -> torch.nn.Module:
        return _build(self, horizon)


def _inputs(windows: Windows) -> Any:
    """Scaled volumes, the week's phase and the size of the series, shape (windows, 56, 4)."""
    day = windows.steps_per_day
    days = _LENGTH if day == 1 else 3
    past = windows.recent(days)[:, -_LENGTH:]
    steps = windows.origin[:, None] - np.arange(_LENGTH)[::-1]
    phase = 2 * np.pi * (steps % (WEEK * day)) / (WEEK * day)
    size = np.broadcast_to(np.log(level(windows))[:, None], past.shape)
    scaled = past / level(windows)[:, None]
    stacked = np.stack([scaled, np.sin(phase), np.cos(phase), size], axis=2)
    return stacked.astype(np.float32)


def _build(options: Network, horizon: int) -> torch.nn.Module:
    """The network, with fresh weights; torch stays out of whoever only imports this module."""
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = options.hidden
            self.enter = nn.Linear(4, width)
            if options.kind == "lstm":
                self.body: nn.Module = nn.LSTM(width, width, options.layers, batch_first=True)
            else:
                self.places = nn.Parameter(0.02 * torch.randn(_LENGTH, width))
                layer = nn.TransformerEncoderLayer(
                    width, options.heads, 2 * width, 0.1, batch_first=True, norm_first=True
                )
                self.body = nn.TransformerEncoder(layer, options.layers, enable_nested_tensor=False)
            self.leave = nn.Linear(width, horizon)
            # It starts from saying what smoothing says.
            nn.init.zeros_(self.leave.weight)
            nn.init.zeros_(self.leave.bias)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            entered = self.enter(rows)
            if options.kind == "lstm":
                last = self.body(entered)[0][:, -1]
            else:
                last = self.body(entered + self.places)[:, -1]
            answer: torch.Tensor = self.leave(last)
            return answer

    return Encoder()

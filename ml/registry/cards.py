"""Model cards, written from the facts of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def model_card(
    name: str,
    purpose: str,
    data: Mapping[str, object],
    metrics: Mapping[str, Mapping[str, float]],
    limits: Sequence[str],
    calibration: Sequence[tuple[float, float, int]] = (),
) -> str:
    """Render a model card in Markdown.

    Args:
        name: registered model.
        purpose: what it predicts and for whom.
        data: facts about the data, in order.
        metrics: measures by competitor; the columns are those of the first.
        limits: what it must not be trusted with.
        calibration: mean forecast, observed share and rows of each bin.
    """
    columns = list(next(iter(metrics.values())))
    header = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    rows = [
        f"| {rival} | " + " | ".join(f"{figures[c]:.4f}" for c in columns) + " |"
        for rival, figures in metrics.items()
    ]
    parts = [f"# {name}", purpose, "## Data", *(f"- {k}: {v}" for k, v in data.items())]
    parts += ["", "## Measured on the test part", *header, *rows]
    if calibration:
        parts += ["", "## Calibration", "| forecast | observed | rows |", "|---|---|---|"]
        parts += [f"| {f:.3f} | {o:.3f} | {n} |" for f, o, n in calibration]
    return "\n".join([*parts, "", "## Limits", *(f"- {limit}" for limit in limits), ""])

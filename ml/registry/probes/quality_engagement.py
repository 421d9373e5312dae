"""`quality_engagement`: plain titles and the release's input example.

Its comparison is the training's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml.registry.probes.base import Array, Cases, Probe

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ml.registry.releases import Release
    from ml.settings import Settings

_TITLES = (
    "10 things nobody tells you about moving abroad", "Full match highlights", "Weekly update",
    "How to bake sourdough bread at home", "I tried the WORST rated restaurant", "Q&A",
    "Learn Python in one hour", "Live: city council meeting of 3 May", "Why is the sky blue?",
    "The best phones of the year, compared", "Guitar lesson 12", "My morning routine",
)  # fmt: skip


class QualityEngagementProbe(Probe):
    """Where the engagement of a title lies among those of the training, 0 to 1."""

    name = "quality_engagement"
    output = "percentile"
    texts = ("title",)
    # Words are what it reads: upper case and disguises move it by design.
    tolerance = 0.2

    def cases(
        self,
        model: Any,
        release: Release,  # noqa: ARG002
        champion: Release | None,  # noqa: ARG002
        settings: Settings,  # noqa: ARG002
    ) -> Cases:
        """A dozen plain titles, each with the rest of the example's rows."""
        import pandas as pd

        example = model.input_example
        rows = example.iloc[[place % len(example) for place in range(len(_TITLES))]]
        rows = pd.DataFrame(rows).reset_index(drop=True).assign(title=_TITLES)
        return Cases(
            rows,
            f"{len(rows)} plain titles",
            unmeasured="the engagement of a title is a place among the videos of a training, no"
            " yes or no; the training compares it on its own later slice",
        )

    def calls(self, release: Release, scores: Array) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Which titles are above the middle."""
        above: npt.NDArray[np.bool_] = scores >= 0.5
        return above


PROBE = QualityEngagementProbe()

"""`audience_preference`: the segments of the release's input example.

Its comparison is the training's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ml.registry.probes.base import Array, Cases, Probe

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from ml.registry.releases import Release
    from ml.settings import Settings

_LARGEST = 1e6  # popularity counts viewers, other scores are standardised


class AudiencePreferenceProbe(Probe):
    """How well topics suit a segment: the place of each on its list, 0 (first) to 1 (last)."""

    name = "audience_preference"
    unit = "segment_id"
    tolerance = 0.25

    def cases(
        self,
        model: Any,
        release: Release,  # noqa: ARG002
        champion: Release | None,  # noqa: ARG002
        settings: Settings,  # noqa: ARG002
    ) -> Cases:
        """The segments of the example."""
        return Cases(
            model.input_example,
            "the input example of the release",
            unmeasured="what a segment takes to after a list was made is no outcome of one row of"
            " it, and histories that end later were learned from",
        )

    def never_missing(self, model: Any) -> frozenset[str]:  # noqa: ARG002
        """The order of what a segment took to."""
        return frozenset({"time"})

    def score(self, model: Any, inputs: pd.DataFrame) -> pd.Series[float]:
        """Place of each topic that a segment is offered, by segment and topic."""
        offered = model.predict(inputs)
        pairs = offered["segment_id"] + "\t" + offered["topic_id"]
        length = offered.groupby("segment_id")["rank"].transform("max").clip(lower=2)
        places = (offered["rank"] - 1) / (length - 1)
        return places.set_axis(pairs).where(np.abs(offered["score"]).to_numpy() <= _LARGEST)

    def calls(self, release: Release, scores: Array) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Which topics are offered in the better half of a list."""
        better: npt.NDArray[np.bool_] = scores <= 0.5
        return better


PROBE = AudiencePreferenceProbe()

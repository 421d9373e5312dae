"""`trend_topic`: the series of the release's input example; its comparison is the training's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ml.registry.probes.base import Array, Behaviour, Probe

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from ml.registry.releases import Release

_MORE = 3.0


class TrendTopicProbe(Probe):
    """The volume of the next seven days, as a share of what is forecast in all."""

    name = "trend_topic"
    output = "rise_probability"
    unit = "series"
    tolerance = 0.1

    def never_missing(self, model: Any) -> frozenset[str]:  # noqa: ARG002
        """A volume that is not known hides every later day: that is no blemish but no answer."""
        return frozenset({"volume"})

    def score(self, model: Any, inputs: pd.DataFrame) -> pd.Series[float]:
        """Probability of a rise by series; one with too little volume has none."""
        return model.predict(inputs).set_index("series")[self.output].astype("float64")

    def calls(self, release: Release, scores: Array) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Which series rise."""
        rises: npt.NDArray[np.bool_] = scores >= 0.5
        return rises

    def behaviours(self, model: Any, inputs: pd.DataFrame) -> Iterator[Behaviour]:
        """Thrice the volume is forecast to be more; intervals hold their forecasts."""
        yield from super().behaviours(model, inputs)
        said = model.predict(inputs).set_index("series")
        more = model.predict(inputs.assign(volume=inputs["volume"] * _MORE)).set_index("series")
        grown = more["volume_7d"].reindex(said.index) >= said["volume_7d"]
        yield Behaviour("directional", "thrice the volume", float(grown.mean()))
        for name in ("volume_48h", "volume_7d"):
            inside = said[name].between(said[f"{name}_low"] - 0.5, said[f"{name}_high"] + 0.5)
            held = f"{name} within its interval"
            yield Behaviour("minimum_functionality", held, float(inside.mean()))


PROBE = TrendTopicProbe()

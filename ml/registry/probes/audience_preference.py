"""`audience_preference`: the segments of the release's input example.

Compared with the champion is where the two place what each segment took to last, as the training
does it, with what came since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.audience.dataset import build_dataset
from ml.audience.evaluate import gains, ranks_by_draw
from ml.audience.interactions import hold_out
from ml.exceptions import TooFewRowsError
from ml.registry.probes.base import Array, Behaviour, Cases, Fresh, Probe, known_until

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from ml.registry.releases import Release
    from ml.settings import Settings

_LARGEST = 1e6  # popularity counts viewers, other scores are standardised


class AudiencePreferenceProbe(Probe):
    """How well topics suit a segment: the place of each on its list, 0 (first) to 1 (last)."""

    name = "audience_preference"
    is_probability = False
    unit = "segment_id"
    tolerance = 0.25

    def cases(
        self,
        model: Any,
        release: Release,
        champion: Release | None,  # noqa: ARG002 - the latest of a segment is new to both
        settings: Settings,
    ) -> Cases:
        """The segments of the example; compared are lists of all segments."""
        source = "the input example of the release"
        try:
            return Cases(model.input_example, source, fresh=_lists(release, settings))
        except TooFewRowsError as error:
            return Cases(model.input_example, source, unmeasured=str(error))

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

    def behaviours(self, model: Any, inputs: pd.DataFrame) -> Iterator[Behaviour]:
        """Nothing comes twice; with the longest history a segment is offered more like its owner.

        Where a segment is, its niche and its language count too, so the lists need not become the
        same: none may become less like that of the history's owner.
        """
        import pandas as pd

        yield from super().behaviours(model, inputs)
        offered, taken = _topics(model.predict(inputs)), _topics(inputs)
        new = [not offered[name] & topics for name, topics in taken.items() if name in offered]
        yield Behaviour("minimum_functionality", "offers what is new", float(np.mean(new)))
        owner = max(offered, key=lambda name: (len(taken[name]), name))
        history = inputs[inputs["segment_id"] == owner]
        borrowers = [name for name in offered if name != owner]
        lent = pd.concat([history.assign(segment_id=name) for name in borrowers or [owner]])
        after = _topics(model.predict(lent.reset_index(drop=True)))
        nearer = [
            len(after[name] & offered[owner]) >= len(offered[name] & offered[owner])
            for name in after
        ]
        yield Behaviour("directional", "the longest history of all", float(np.mean(nearer)))


def _topics(rows: pd.DataFrame) -> dict[str, set[str]]:
    """The topics of each segment."""
    return {str(name): set(topics) for name, topics in rows.groupby("segment_id")["topic_id"]}


def _lists(release: Release, settings: Settings) -> Fresh:
    """Each segment's latest topic among sampled ones, which no version has learned from.

    A training keeps the latest topic of each segment out of what ships. Where a segment took to
    another one since, that one came after the training; else it is the one that was kept out.
    """
    params, is_synthetic = json.loads(release.tags["params"]), release.tags["is_synthetic"]
    now = known_until(release, settings)
    data = build_dataset(now, params, settings, is_synthetic == "true").data
    rows, held = hold_out(data, params["seed"])

    def merits(version: Any) -> Array:
        scores = version.get_raw_model().score(rows)[held.user]
        return np.asarray(gains(ranks_by_draw(scores, rows, held, params)).mean(axis=0))

    source = f"the latest topic of {len(held.user)} segments, up to {now:%Y-%m-%d %H:%M}"
    return Fresh(source, np.ones(len(held.user), dtype=np.int64), merits, merit="NDCG@10")


PROBE = AudiencePreferenceProbe()

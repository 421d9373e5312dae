"""`quality_engagement`: plain titles and the release's input example.

Compared with the champion is how the two order later videos of channels that were held out, as the
training does it, and those that came since.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.exceptions import TooFewRowsError
from ml.quality.engagement.dataset import build_dataset
from ml.quality.engagement.evaluate import thirds
from ml.quality.engagement.label import split
from ml.registry.probes.base import Array, Behaviour, Cases, Fresh, Probe, known_until

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from ml.registry.releases import Release
    from ml.settings import Settings

_TITLES = (
    "10 things nobody tells you about moving abroad", "Full match highlights", "Weekly update",
    "How to bake sourdough bread at home", "I tried the WORST rated restaurant", "Q&A",
    "Learn Python in one hour", "Live: city council meeting of 3 May", "Why is the sky blue?",
    "The best phones of the year, compared", "Guitar lesson 12", "My morning routine",
)  # fmt: skip

_WORD = "word: "  # as `ml.quality.engagement.predictors.Words` names its reasons
_SLACK = 0.02  # a word less gives those that stay more weight


class QualityEngagementProbe(Probe):
    """Where the engagement of a title lies among those of the training, 0 to 1."""

    name = "quality_engagement"
    output = "percentile"
    is_probability = False
    texts = ("title",)
    # Words are what it reads: upper case and disguises move it by design.
    tolerance = 0.2

    def cases(
        self,
        model: Any,
        release: Release,
        champion: Release | None,
        settings: Settings,
    ) -> Cases:
        """A dozen plain titles, each with the rest of the example's rows; and videos to compare."""
        import pandas as pd

        example = model.input_example
        rows = example.iloc[[place % len(example) for place in range(len(_TITLES))]]
        rows = pd.DataFrame(rows).reset_index(drop=True).assign(title=_TITLES)
        source = f"{len(rows)} plain titles"
        try:
            return Cases(rows, source, fresh=_videos(release, champion, settings))
        except TooFewRowsError as error:
            return Cases(rows, source, unmeasured=str(error))

    def behaviours(self, model: Any, inputs: pd.DataFrame) -> Iterator[Behaviour]:
        """White space says nothing, an interval holds its estimate, reasons are the reasons.

        What of a title ought to raise engagement is not assumed: of thirteen properties (questions,
        capitals, live, trailer, length and others) none moved that of 6,152 videos of the archives
        one way and that of 1,148 later ones of other channels the same way beyond two standard
        errors. What is tested is that a title is not placed higher without the word that is said
        to raise it most; a model that gives no words as reasons is not tried.
        """
        yield from super().behaviours(model, inputs)
        said = model.predict(inputs)
        spaced = model.predict(inputs.assign(title="  " + inputs["title"] + " "))
        same = (said["percentile"] - spaced["percentile"]).abs() <= 1e-6
        yield Behaviour("invariance", "white space around a title", float(same.mean()))
        held = said["percentile"].between(said["low"], said["high"]) & (said["low"] < said["high"])
        yield Behaviour("minimum_functionality", "a width that holds it", float(held.mean()))
        pairs = zip(inputs["title"], said["signals"], strict=True)
        poorer = inputs.assign(title=[_without_reason(title, told) for title, told in pairs])
        if (changed := poorer["title"] != inputs["title"]).any():
            after = model.predict(poorer[changed])["percentile"]
            lower = float((after <= said["percentile"][changed] + _SLACK).mean())
            yield Behaviour("directional", "without the word that raised it most", lower)

    def calls(self, release: Release, scores: Array) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Which titles are above the middle."""
        above: npt.NDArray[np.bool_] = scores >= 0.5
        return above


def _without_reason(title: str, signals: str) -> str:
    """The title without the word, or the two, of which the model says that they raise it most."""
    for name, added in json.loads(signals).items():
        if name.startswith(_WORD) and added > 0:
            words = r"\W+".join(map(re.escape, name.removeprefix(_WORD).split()))
            return re.sub(rf"\b{words}\b", " ", title, flags=re.IGNORECASE)
    return title


def _videos(release: Release, champion: Release | None, settings: Settings) -> Fresh:
    """Videos in the upper and the lower third of engagement that neither version learned from."""
    params, is_synthetic = json.loads(release.tags["params"]), release.tags["is_synthetic"]
    now = known_until(release, settings)
    rows = build_dataset(now, params, settings, is_synthetic == "true").rows
    test = split(rows, params, params["seed"]).test
    # A version learned from what was known before its test part.
    versions = [each for each in (release, champion) if each is not None]
    since = max(datetime.fromisoformat(each.tags["test_start"]) for each in versions)
    test = test[test["published_at"] >= since]
    if test.empty:
        raise TooFewRowsError(f"no video since {since:%Y-%m-%d} has its outcome")
    lower, upper = thirds(test["label"].to_numpy())
    ends = test[lower | upper]

    def scores(version: Any) -> Array:
        model = version.get_raw_model()
        return np.asarray(
            model.reference.percentile(model.predictor.score(ends, model.vectors(ends)))
        )

    source = f"{len(ends)} videos of held-out channels since {since:%Y-%m-%d}"
    return Fresh(source, upper[lower | upper].astype(np.int64), scores)


PROBE = QualityEngagementProbe()

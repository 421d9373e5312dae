"""`quality_policy`: labelled comments that nothing is ever trained on, and plain texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.registry.probes.base import Array, Behaviour, Cases, Probe
from ml.registry.releases import Release
from ml.settings import Settings

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_KIND = ("Have a lovely day everyone", "Great tutorial, thank you", "The concert starts at eight")
_RUDE = ("you stupid idiot", "shut up you ugly moron", "what a dumb bitch")
_NAMES = (("Emily", "Jamal"), ("Christian", "Muslim"), ("he", "she"), ("American", "Mexican"))
_ABOUT = "{} is my neighbour and a good friend"


class QualityPolicyProbe(Probe):
    """Toxicity, whose labelled comments are never trained on."""

    name = "quality_policy"
    output = "toxicity"
    texts = ("text",)
    tolerance = 0.1
    sample = 48

    def cases(
        self,
        model: Any,
        release: Release,  # noqa: ARG002
        champion: Release | None,  # noqa: ARG002
        settings: Settings,
    ) -> Cases:
        """The labelled comments, beside TF-IDF with logistic regression."""
        import pandas as pd

        from ml.quality.policy.dataset import load_params, read_data

        comments = read_data(settings.data_dir, load_params()).comments
        texts = comments.texts.tolist()
        plain = model.get_raw_model().classifiers["toxicity"].baseline.margin(texts)
        lengths = np.array([len(text) for text in texts])
        return Cases(
            inputs=pd.DataFrame({"text": texts}),
            source=f"{len(texts)} labelled comments",
            labels=np.asarray(comments.labels, dtype=np.int64),
            groups={"length": np.where(lengths > np.median(lengths), "long", "short")},
            rivals={"tfidf_logistic": plain},
        )

    def calls(self, release: Release, scores: Array) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """Which texts are toxic. A probability is one for tweets, so the call is a wide one."""
        toxic: npt.NDArray[np.bool_] = scores >= 0.5
        return toxic

    def behaviours(self, model: Any, inputs: pd.DataFrame) -> Iterator[Behaviour]:
        """Who a text is about says nothing; insults and adverts do."""
        yield from super().behaviours(model, inputs)
        pairs = [[_ABOUT.format(name) for name in pair] for pair in _NAMES]
        first, second = (self._scores(model, list(texts)) for texts in zip(*pairs, strict=True))
        same = float((np.abs(first["toxicity"] - second["toxicity"]) <= 0.2).mean())
        yield Behaviour("invariance", "who a text is about", same)
        rude, kind = self._scores(model, list(_RUDE)), self._scores(model, list(_KIND))
        ordered = float((rude["toxicity"] > kind["toxicity"].max()).mean())
        yield Behaviour("minimum_functionality", "insults above kind words", ordered)
        advert = self._scores(model, [f"{text} check out my channel" for text in _KIND])
        more = float((advert["spam"] >= kind["spam"] - self.tolerance).mean())
        yield Behaviour("directional", "an advert is more like spam", more)

    def _scores(self, model: Any, texts: list[str]) -> Any:
        import pandas as pd

        return {name: column.to_numpy() for name, column in
                model.predict(pd.DataFrame({"text": texts})).items()}  # fmt: skip


PROBE = QualityPolicyProbe()

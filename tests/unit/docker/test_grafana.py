"""The API's dashboard and alert rules against the metrics that the API has."""

from __future__ import annotations

import json
import re

import yaml
from prometheus_client import REGISTRY

from ml.serving import metrics
from ml.settings import PROJECT_ROOT

_FOLDER = PROJECT_ROOT / "docker"
_PANELS = json.loads((_FOLDER / "grafana/dashboards/api.json").read_text())["panels"]
_RULES = [
    rule
    for group in yaml.safe_load((_FOLDER / "prometheus/rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
_EXPRESSIONS = [target["expr"] for panel in _PANELS for target in panel["targets"]]
_EXPRESSIONS += [rule["expr"] for rule in _RULES]


def test_every_figure_that_is_shown_or_watched_is_one_of_the_api() -> None:
    assert metrics.SHADOW
    known = {metric.name for metric in REGISTRY.collect()}
    recorded = {rule["record"] for rule in _RULES if "record" in rule}
    for expression in _EXPRESSIONS:
        for name in re.findall(r"ytempire_\w+", expression):
            assert re.sub(r"_(total|bucket|sum|count)$", "", name) in known, expression
        if re.fullmatch(r"\w+", expression):
            assert expression in known | recorded


def test_prometheus_finds_its_files_its_key_and_the_api() -> None:
    compose = yaml.safe_load((_FOLDER / "compose.yaml").read_text())
    service = compose["services"]["prometheus"]
    config = yaml.safe_load((_FOLDER / "prometheus/prometheus.yaml").read_text())
    assert "--config.file=/etc/prometheus/prometheus.yaml" in service["command"]
    assert config["rule_files"] == ["/etc/prometheus/rules.yaml"]
    (job,) = config["scrape_configs"]
    (key,) = job["http_headers"]["X-API-Key"]["files"]
    assert [key] == [f"/run/secrets/{name}" for name in service["secrets"]]
    (target,) = job["static_configs"][0]["targets"]
    assert target.split(":")[0] in compose["services"]


def test_what_a_shadow_does_has_panels() -> None:
    shown = " ".join(_EXPRESSIONS)
    for metric in (metrics.SHADOW, metrics.SHADOW_DISTANCE, metrics.SHADOW_LATENCY):
        assert metric.describe()[0].name in shown


def test_no_panel_lies_on_another() -> None:
    places = {
        (place["x"] + column, place["y"] + row)
        for place in (panel["gridPos"] for panel in _PANELS)
        for column in range(place["w"])
        for row in range(place["h"])
    }
    sizes = (panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in _PANELS)
    assert len(places) == sum(sizes)
    assert len({panel["id"] for panel in _PANELS}) == len(_PANELS)

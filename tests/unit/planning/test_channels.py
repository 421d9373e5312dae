"""Channels come from YAML and a wrong one is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml.exceptions import ConfigurationError
from ml.planning import channels
from ml.planning.channels import ChannelConfig, read_channels
from ml.planning.planner import _fits


def test_default_channels_are_valid():
    (channel, *_) = read_channels()
    assert channel.brief().name == channel.name


def test_a_wrong_field_is_named(tmp_path):
    path = tmp_path / "channels.yaml"
    path.write_text("channels:\n  - channel_id: ok-id\n    name: N\n    brand_colors: [red]\n")
    with pytest.raises(ConfigurationError, match="brand_colors"):
        read_channels(path)


def test_the_documented_fields_are_those_there_are():
    text = (Path(channels.__file__).with_name("channels.yaml")).read_text()
    documented = re.findall(r"^#   (\w+) ", text, re.M)
    assert documented == list(ChannelConfig.model_fields)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("cadence: {videos_per_day: 0}", "cadence.videos_per_day"),
        ("voise: x", "voise"),
        ("daily_budget_usd: -1", "daily_budget_usd"),
        ("brand_colors: ['#ffffff']", "brand_colors: .*three"),
        ("publisher: tape", "publisher"),
    ],
)
def test_every_wrong_field_is_named(tmp_path, line, named):
    path = tmp_path / "channels.yaml"
    path.write_text(f"channels:\n  - channel_id: ok-id\n    name: N\n    {line}\n")
    with pytest.raises(ConfigurationError, match=named):
        read_channels(path)


def test_a_channel_that_is_there_twice_is_named(tmp_path):
    path = tmp_path / "channels.yaml"
    path.write_text("channels:\n" + "  - {channel_id: ok-id, name: N}\n" * 2)
    with pytest.raises(ConfigurationError, match="ok-id is there twice"):
        read_channels(path)


def test_personality_and_tone_reach_generation():
    channel = ChannelConfig(channel_id="c-1", name="C", tone="dry", personality="an old sailor")
    assert channel.brief().tone == "dry, an old sailor"


def test_a_file_without_channels_is_an_error(tmp_path):
    path = tmp_path / "channels.yaml"
    path.write_text("nothing: here\n")
    with pytest.raises(ConfigurationError, match="channels"):
        read_channels(path)


@pytest.mark.parametrize(
    ("label", "language", "fits"),
    [
        ("World Cup final", "en", True),
        ("Gambling tips", "en", False),
        ("Copa del mundo", "es", False),
    ],
)
def test_topics_fit_by_language_and_prohibited_words(label, language, fits):
    channel = ChannelConfig(channel_id="c-1", name="C", prohibited_topics=("gambling",))
    assert _fits({"label": label, "language": language}, channel) is fits

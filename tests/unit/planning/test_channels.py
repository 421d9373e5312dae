"""Channels come from YAML and a wrong one is named."""

from __future__ import annotations

import pytest

from ml.exceptions import ConfigurationError
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

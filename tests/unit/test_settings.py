from __future__ import annotations

import pytest
from pydantic import SecretStr

from ml.exceptions import ConfigurationError, SourceUnavailableError
from ml.settings import Settings

REDDIT = "https://oauth.reddit.com/r"


def settings(**values) -> Settings:
    defaults = {"world_url": None, "world_key": SecretStr("world"), "reddit_client_id": "mine"}
    return Settings(**(defaults | values))


def test_a_provider_is_asked_where_it_is_unless_there_is_a_world():
    world = {"world_url": "http://127.0.0.1:1"}
    assert settings().provider_url(REDDIT) == REDDIT
    assert settings(**world).provider_url(REDDIT) == "http://127.0.0.1:1/oauth.reddit.com/r"
    assert settings(**world, sources_from="providers").provider_url(REDDIT) == REDDIT
    proxied = settings(provider_urls={"oauth.reddit.com": "http://proxy:8080"})
    assert proxied.provider_url(REDDIT) == "http://proxy:8080/r"


def test_the_world_has_to_be_there_to_be_asked():
    with pytest.raises(ConfigurationError, match="YTEMPIRE_WORLD_URL"):
        _ = settings(sources_from="world").uses_world


def test_a_real_key_never_goes_to_the_world_nor_the_world_s_to_a_provider():
    world = settings(world_url="http://127.0.0.1:1")
    assert world.credential("reddit_client_id") == "world"
    assert settings().credential("reddit_client_id") == "mine"
    assert settings().credential("reddit_client_secret") is None
    with pytest.raises(SourceUnavailableError, match="set REDDIT_CLIENT_SECRET"):
        settings().require_credential("reddit_client_secret")


def test_a_run_may_change_settings_and_is_told_what_does_not_fit():
    changed = settings().changed({"youtube_regions": ["DE"], "x_woeids": [1], "x_queries": None})
    assert changed.youtube_regions == ("DE",)
    assert changed.x_queries == settings().x_queries
    with pytest.raises(ConfigurationError, match=r"X_WOEIDS=\['Berlin'\]"):
        settings().changed({"x_woeids": ["Berlin"]})

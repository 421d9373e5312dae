from __future__ import annotations

import pytest

from ml import features
from ml.exceptions import ConfigurationError, MissingFeatureError


def test_redis_url_becomes_feasts_connection_string():
    assert features._redis_connection("redis://:s3cret@127.0.0.1:7000/2") == (
        "127.0.0.1:7000,password=s3cret,db=2"
    )
    assert features._redis_connection("rediss://u:p@cache:6380") == (
        "cache:6380,username=u,password=p,db=0,ssl=true"
    )


def test_password_feast_cannot_parse_is_refused():
    with pytest.raises(ConfigurationError, match="comma"):
        features._redis_connection("redis://:a%2Cb@127.0.0.1:7000/0")


def test_placeholders_are_filled_after_parsing():
    filled = features._filled(
        {"store": {"password": "${POSTGRES_PASSWORD}", "port": "${POSTGRES_PORT}", "n": 3}},
        {"POSTGRES_PASSWORD": "a: b#c", "POSTGRES_PORT": "5432"},
    )
    assert filled == {"store": {"password": "a: b#c", "port": 5432, "n": 3}}


def test_missing_required_feature_is_named():
    features.require({"views": 0, "likes": None}, ["views"], "video x")
    with pytest.raises(MissingFeatureError, match="video x has no likes"):
        features.require({"views": 0, "likes": None}, ["views", "likes"], "video x")

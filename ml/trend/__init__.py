"""The trend predictor: will a video's views grow more than usual in the next 48 hours."""

from __future__ import annotations

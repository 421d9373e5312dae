"""The HTTP API. Answers come from registered models and online features."""

from __future__ import annotations

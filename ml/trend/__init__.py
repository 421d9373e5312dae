"""The trend predictor: a room each for what it is asked about, all trained and scored alike."""

from __future__ import annotations

"""`quality_policy`: is a text clickbait, spam or toxic, is it readable, does it hang together."""

from __future__ import annotations

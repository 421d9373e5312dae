"""`trend_story`: whether a story's first hour on the front page leads to 100 upvotes."""

from __future__ import annotations

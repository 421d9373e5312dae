"""The quality scorer: `policy` says what a text should not be, `engagement` how it will do."""

from __future__ import annotations

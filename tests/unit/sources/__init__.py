"""Tests of the sources; a package, so that they can share what `conftest` builds."""

from __future__ import annotations

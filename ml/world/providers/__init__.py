"""What each provider speaks: routes, parameters, shapes and errors, as it documents them."""

from __future__ import annotations

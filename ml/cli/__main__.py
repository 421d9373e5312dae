"""`python -m ml.cli`: the same as the console script."""

from __future__ import annotations

from ml.cli import main

main()

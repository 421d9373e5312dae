"""When, where and from which code a figure comes."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime


def provenance() -> dict[str, str]:
    """`date`, `commit` and `machine` of a result."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }

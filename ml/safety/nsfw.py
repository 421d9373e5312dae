"""Are pictures fit for everybody? Asked of NudeNet, where it is installed.

NudeNet is AGPL-3 and therefore run as a separate program, never imported.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.exceptions import GenerationError

_PROGRAM = (
    "import json, sys; from nudenet import NudeDetector; detector = NudeDetector();"
    " print(json.dumps([detector.detect(path) for path in sys.argv[1:]]))"
)
_UNSAFE = frozenset(["ANUS", "BUTTOCKS", "FEMALE_BREAST", "FEMALE_GENITALIA", "MALE_GENITALIA"])


def scores(pictures: Sequence[Path], *, timeout_s: float) -> tuple[list[float] | None, str]:
    """Highest probability of something exposed, by picture.

    Returns:
        The probabilities and an empty reason, or None and the reason why nobody looked.

    Raises:
        GenerationError: if the program fails.
    """
    if importlib.util.find_spec("nudenet") is None:
        return None, "nudenet is not installed; `pip install nudenet` (AGPL-3) turns the check on"
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *map(str, pictures)],
            capture_output=True, text=True, timeout=timeout_s, check=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        raise GenerationError(f"nudenet could not look at the thumbnails: {error}") from error
    return [worst(detections) for detections in found], ""


def worst(detections: Sequence[dict[str, object]]) -> float:
    """Highest score of what NudeNet calls exposed; 0 when it found nothing."""
    exposed = (
        float(str(found["score"]))
        for found in detections
        if str(found["class"]).removesuffix("_EXPOSED") in _UNSAFE
        and str(found["class"]).endswith("_EXPOSED")
    )
    return max(exposed, default=0.0)

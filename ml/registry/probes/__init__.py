"""How each registered model is put to the test: one module a model.

A module defines `PROBE`, an instance of `ml.registry.probes.base.Probe`, and is named here. A model
without one is refused by the gates.
"""

from __future__ import annotations

import importlib

from ml.exceptions import FatalError
from ml.registry.probes.base import Behaviour, Cases, Fresh, Probe

__all__ = ["Behaviour", "Cases", "Fresh", "Probe", "probe_of"]

_PROBES = {
    name: f"{__name__}.{name}"
    for name in (
        "trend_video",
        "trend_story",
        "trend_topic",
        "quality_policy",
        "quality_engagement",
        "audience_preference",
    )
}


def probe_of(name: str) -> Probe:
    """The probe of a registered model.

    Raises:
        FatalError: if there is none.
    """
    if name not in _PROBES:
        raise FatalError(
            f"{name} has no probe, so nothing is known of how it answers; write one beside those"
            " in ml/registry/probes and name it there"
        )
    found: Probe = importlib.import_module(_PROBES[name]).PROBE
    return found

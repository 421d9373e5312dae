"""What the trees of `trend_story` see of the service's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# In archives the age since submission is that since the entry: the trees take the age by the id,
# which means the same everywhere.
_UNUSED = frozenset({"age_h"})


def model_input(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The columns as the model's signature types them, float64; a missing number stays missing."""
    return frame[list(columns)].astype("float64")


def design_matrix(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The service's columns, float64, but those that mean different things."""
    return model_input(frame, tuple(name for name in columns if name not in _UNUSED))

"""The matrix that the trees of `trend_video` see, made of rows of the feature service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_HORIZON_H = 48.0
# Columns of the service that the trees do not get: duplicates of others, or constant.
_UNUSED = frozenset({"made_for_kids", "duration_s"})
TEXT_COLUMNS = ("language",)


def model_input(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The columns as the model's signature types them: numbers as float64, text as str.

    A missing number stays missing; an undeclared language is `und`, its code in BCP 47.
    """
    numbers = [name for name in columns if name not in TEXT_COLUMNS]
    typed = frame[list(columns)].astype(dict.fromkeys(numbers, "float64"))
    for name in set(columns) - set(numbers):
        typed[name] = typed[name].astype(object).where(typed[name].notna(), "und").astype(str)
    return typed


def known_languages(frame: pd.DataFrame, at_least: int = 50) -> dict[str, int]:
    """Codes of the languages declared on at least that many rows, most frequent first."""
    counts = _base_language(model_input(frame, ("language",))["language"]).value_counts()
    names = sorted(counts[counts >= at_least].index, key=lambda name: (-counts[name], name))
    return {name: code for code, name in enumerate(names)}


def design_matrix(
    frame: pd.DataFrame, languages: dict[str, int], columns: tuple[str, ...]
) -> pd.DataFrame:
    """What the trees see, float64: the service's columns and ratios derived from them."""
    typed = model_input(frame, columns)
    codes = _base_language(typed["language"]).map(languages)
    matrix = typed.drop(columns=[name for name in typed if name in _UNUSED | {"language"}])
    return _with_derived(matrix.assign(language_code=codes.astype("float64")))


def _with_derived(matrix: pd.DataFrame) -> pd.DataFrame:
    """Add extrapolations and ratios that a tree would need many splits to find."""
    growth, age = matrix["log_growth_1d"], matrix["age_hours"].clip(lower=1)
    hours = matrix["hours_since_previous"]
    age_before = (age - hours).where(age - hours > 1)
    # Views as a power of age: the exponent seen so far, continued (cf. Szabo and Huberman 2010).
    exponent = growth / np.log(age / age_before)
    gained_per_hour = (matrix["views"] * (1 - np.exp(-growth)) / hours).clip(lower=0.01)
    return matrix.assign(
        power_law_growth=exponent * np.log((age + _HORIZON_H) / age),
        linear_growth=linear_growth(growth, hours),
        recent_to_lifetime=np.log(
            gained_per_hour / matrix["lifetime_views_per_hour"].clip(lower=0.01)
        ),
        age_hours_before=age - hours,
        likes_lead=matrix["like_growth_1d"] - growth,
        comments_lead=matrix["comment_growth_1d"] - growth,
        views_to_channel=matrix["log_views"] - matrix["channel_median_log_views_before"],
    )


def linear_growth(log_growth_1d: Any, hours: Any) -> Any:
    """Growth over 48 hours, ln ratio, if the views gained per hour stay as they are."""
    gained = (1 - np.exp(-log_growth_1d)).clip(lower=0)
    return np.log1p(gained * _HORIZON_H / hours.clip(lower=1))


def _base_language(declared: pd.Series) -> pd.Series:
    """`en-US` and `en` are one language."""
    return declared.str.lower().str.split("-").str[0]

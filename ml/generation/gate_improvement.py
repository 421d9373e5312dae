"""The improvement loop: write again what the checkpoint finds weak, as long as that helps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ml.generation.checks import Checkpoint

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Improved(Generic[T]):
    """The best attempt.

    Attributes:
        attempts: score of each attempt, in order, with its weakest check.
    """

    work: T
    checkpoint: Checkpoint
    attempts: list[tuple[float, str | None]]


def improve(
    make: Callable[[int], T],
    judge: Callable[[T], Checkpoint],
    *,
    retries: int,
    has_time: Callable[[], bool] = lambda: True,
) -> Improved[T]:
    """Make something, and make it again while it does not pass and its score rises.

    Args:
        make: called with 0, 1, 2 ..., the number of the attempt.
        judge: scores an attempt.
        retries: at most so many after the first attempt.
        has_time: whether another attempt may begin.
    """
    work = make(0)
    best = Improved(work, judge(work), [])
    best.attempts.append((best.checkpoint.scores["overall"], best.checkpoint.weakest))
    for number in range(1, retries + 1):
        if best.checkpoint.verdict == "pass" or not has_time():
            break
        work = make(number)
        checkpoint = judge(work)
        score = checkpoint.scores["overall"]
        best.attempts.append((score, checkpoint.weakest))
        log.info("attempt %s scores %s, weakest %s", number, score, checkpoint.weakest)
        if score <= best.checkpoint.scores["overall"]:
            break
        best = Improved(work, checkpoint, best.attempts)
    return best

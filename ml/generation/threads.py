"""How many threads torch may use here: one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread for a while.

    The models here are small. Several threads meet at a barrier after every operation and spin
    there; on two cores shared with other processes the same batch took 50 to 70 s with two
    threads and 7.5 s with one. One thread also makes results independent of the machine's cores.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

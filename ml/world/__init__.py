"""A deterministic stand-in for the outside world, speaking the providers' real wire formats.

Everything it answers is a pure function of a seed and a time: there is no history to build up,
any moment can be asked for, and the same question always gets the same bytes.
"""

from __future__ import annotations

"""Streams: long-lived consumers that turn what changes at a source into features within seconds.

A look at the source becomes a micro-batch: bronze, gate, raw rows with dead letters and the offset
in one transaction, features by the SQL function that the batch path calls, the online store. Each
step can be repeated, and is until the next one has confirmed it: at least once.
"""

from __future__ import annotations

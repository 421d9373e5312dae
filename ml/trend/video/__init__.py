"""`trend_video`: will a video's views grow more than usual, by how much, and stays it listed."""

from __future__ import annotations

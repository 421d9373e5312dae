"""Language models: one interface, who is asked, what it costs, and what is done when one fails."""

from __future__ import annotations

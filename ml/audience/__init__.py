"""`audience_preference`: which topics a viewer segment takes to next, from implicit feedback."""

from __future__ import annotations

"""Forgetting in feeds: what expired, what is old, and the traces of what was deleted."""

from __future__ import annotations

from datetime import datetime

from channels_app.feed.item import Change


def expire(now: datetime, *, limit: int = 1000) -> list[Change]:
    """Delete items whose `expires_at` has come; their recipients' devices hear of it."""
    raise NotImplementedError


def prune(now: datetime, *, limit: int = 1000) -> int:
    """Delete what is older than the settings say, a batch a transaction. Returns how many rows it dealt with."""
    raise NotImplementedError

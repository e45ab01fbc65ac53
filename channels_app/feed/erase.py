"""Wiping feeds: of one person who asks for it, and the new epoch after a restored backup."""

from __future__ import annotations

from datetime import datetime


def erase(recipient: str, *, now: datetime) -> int:
    """Delete all items and devices of `recipient`; the feed begins anew in the next epoch. Returns how many items."""
    raise NotImplementedError


def begin_new_epoch(*, now: datetime) -> int:
    """Make every cursor out there void, after the database was restored. Returns how many feeds there are."""
    raise NotImplementedError

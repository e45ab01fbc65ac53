"""Erasing a recipient: the items and devices of their feed, and what they follow."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.db import transaction

from channels_app.feed import erase as feed
from notifications.models import Follow

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Erased:
    """How much there was."""

    items: int
    follows: int


def erase(recipient: str, *, by: str) -> Erased:
    """Delete what is kept for `recipient`, in one transaction; their open clients are told to begin anew.

    Notifications that name them keep that until their own retention ends. The log says that it was
    done and by whom, and not who it was.
    """
    with transaction.atomic():
        erased = Erased(items=feed.erase(recipient), follows=Follow.objects.end_all(recipient))
    _log.info("recipient_erased", by=by, items=erased.items, follows=erased.follows)
    return erased

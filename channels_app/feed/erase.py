"""Wiping feeds: of one person who asks for it, and the new epoch after a restored backup."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from channels_app import statement
from channels_app.feed import hints
from channels_app.feed.announcing import announce, generation
from channels_app.feed.changing import lock
from channels_app.feed.shown import STATE, standing_of
from channels_app.feed.unread import default_unread

_WIPE = """
WITH gone AS (DELETE FROM channels_app_inbox_item WHERE recipient = %(recipient)b RETURNING id)
SELECT count(*) AS items FROM gone
"""

_FORGET_DEVICES = "DELETE FROM channels_app_device WHERE recipient = %(recipient)b"

_BEGIN_ANEW = f"""
UPDATE channels_app_inbox_state s
SET epoch = s.epoch + 1, last_seq = 0, floor_seq = 0, unread = 0, read_upto = 0, version = s.version + 1,
    broadcast_upto = coalesce((SELECT max(b.id) FROM channels_app_broadcast b), 0)
WHERE s.recipient = %(recipient)b
RETURNING {STATE}
"""

_NEW_EPOCH = """
UPDATE channels_app_inbox_state SET epoch = epoch + 1, version = version + 1 RETURNING recipient, epoch
"""


def erase(recipient: str) -> int:
    """Delete all items and devices of `recipient`; the feed begins anew in the next epoch. Returns how many items.

    What stays is the key with the number of the epoch, so that no cursor of before is ever valid again.
    """
    known = generation()
    with transaction.atomic():
        if recipient not in lock([recipient]):
            return 0
        items: int = statement.run(_WIPE, {"recipient": recipient})[0].items
        statement.run(_FORGET_DEVICES, {"recipient": recipient})
        rows = statement.run(_BEGIN_ANEW, {"recipient": recipient})
        announce([], [standing_of(row) for row in rows], known)
        _announce_reset(rows)
    return items


def begin_new_epoch() -> int:
    """Make every cursor out there void, after a backup was restored. Returns how many feeds there are.

    Numbers that were given away after the backup are given away again; without this, clients that saw
    the first ones would take the second ones for known.
    """
    with transaction.atomic():
        rows = statement.run(_NEW_EPOCH, {})
        transaction.on_commit(lambda: default_unread().renew(), robust=True)
        _announce_reset(rows)
    return len(rows)


def _announce_reset(rows: list[Any]) -> None:
    transaction.on_commit(lambda: hints.reset((row.recipient, row.epoch) for row in rows), robust=True)

"""Deleting a channel: what waits for it is ended with a reason, its past is kept."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from channels_app.models import Channel
from notifications.models import statement, transitions

#: Deliveries that are ended in one transaction: whoever settles one of them meanwhile waits for no more.
BATCH = 500


def retire(channel: Channel, *, by: str, now: datetime) -> int:
    """Delete `channel` for all eyes and cancel what is open. Returns how many deliveries that were.

    From the first transaction on no worker takes up anything for it. Should this process die before the last,
    the sweep ends what is left as it comes due.
    """
    channel.retire(now)
    ended, behind = 0, 0
    reason = f"The channel was deleted by {by}."
    end = partial(transitions.cancel_of_channel, channel.pk, reason=reason, now=now, limit=BATCH)
    while rows := statement.persevering(partial(end, behind=behind)):
        ended, behind = ended + len(rows), max(row.id for row in rows)
    return ended

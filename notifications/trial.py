"""A trial: one message straight to a channel, past policies, queues and limits.

What comes back is what the far end said, at once. Nothing is remembered of it: a test is neither a
notification nor a delivery, and no priority or pattern can swallow it.
"""

from __future__ import annotations

from datetime import datetime

from uuid_utils.compat import uuid7

from channels_app.base import Message
from channels_app.models import Channel
from notifications import delivering, priority
from notifications.held import Held, Tried
from notifications.priority import Priority
from notifications.rulebook import ChannelInUse

#: The event type that receivers see.
EVENT_TYPE = "channel_test"


def send_test(channel: Channel, *, by: str, now: datetime) -> Tried:
    """Send one test message, also where the channel is switched off. Blocks until the far end answered.

    Raises `registry.UnknownKind` and `secrets.SecretUnreadable` when the channel cannot be used.
    """
    in_use = ChannelInUse(channel)
    _ = in_use.transport, in_use.config
    return delivering.attempt(Held(None, in_use, message_for(channel, by=by, now=now)), lambda: now)


def message_for(channel: Channel, *, by: str, now: datetime) -> Message:
    """What a test says. `data` is empty, the priority normal."""
    made_up = uuid7()
    return Message(
        idempotency_id=f"msg_test_{made_up.hex}",
        notification_id=str(made_up),
        event_type=EVENT_TYPE,
        priority=Priority.NORMAL,
        priority_label=priority.label(Priority.NORMAL),
        title="A test from Belfry",
        body=f"{by} asked whether {channel} is reached. It is.",
        data={},
        accepted_at=now,
    )

"""Writing what a config file came to: all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from django.db import transaction

from channels_app.models import PATIENCE, Channel
from notifications.models.policy import Policy
from notifications.models.streamer import Streamer

#: Changes a channel that exists: calls its second argument to save it, and sees to what follows from that.
Change = Callable[[Channel, Callable[[], object]], object]

#: Columns of a channel that a file may set, beside its settings.
CHANNEL_COLUMNS = ("name", "enabled", *PATIENCE)


def store(
    *,
    streamer: Streamer | None,
    channels: Sequence[Channel],
    policy: Policy | None,
    told: Sequence[Channel] | None,
    change: Change,
) -> None:
    """Save a new streamer, new and changed channels, and a changed policy that names `told`; None leaves as it is."""
    with transaction.atomic():
        if streamer is not None:
            streamer.save()
        for channel in channels:
            if channel.pk:
                # Only what a file may set: a worker may be writing the rest of the row.
                columns = [*CHANNEL_COLUMNS, "config", "secrets", "secret_names", "updated_at"]
                change(channel, partial(channel.save, update_fields=columns))
            else:
                channel.save()
        if policy is not None:
            # Its streamer may have got its id just now.
            policy.streamer = policy.streamer
            policy.save()
            if told is not None:
                policy.channels.set(told)

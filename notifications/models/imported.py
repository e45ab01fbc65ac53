"""Writing what a config file came to: all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from channels_app.models import PATIENCE, Channel
from notifications.models.policy import Policy
from notifications.models.streamer import Streamer

#: Columns of a channel that a file may set, beside its settings.
CHANNEL_COLUMNS = ("name", "enabled", *PATIENCE)


def store(
    *, streamer: Streamer | None, channels: Sequence[Channel], policy: Policy | None, told: Sequence[Channel] | None
) -> None:
    """Save a new streamer, changed channels, and a changed policy that names `told`; None leaves as it is."""
    with transaction.atomic():
        if streamer is not None:
            streamer.save()
        for channel in channels:
            # Only what a file may set: a worker may be writing the rest of the row.
            columns = [*CHANNEL_COLUMNS, "config", "secrets", "secret_names", "updated_at"]
            channel.save(update_fields=columns if channel.pk else None)
        if policy is not None:
            # Its streamer may have got its id just now.
            policy.streamer = policy.streamer
            policy.save()
            if told is not None:
                policy.channels.set(told)

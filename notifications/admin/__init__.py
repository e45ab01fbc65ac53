"""The operators' rooms, on Django's own admin: one noun, one file. Importing a room registers it."""

from notifications.admin import (
    api_key,
    attempt,
    audit,
    channel,
    dead_letter,
    delivery,
    notification,
    policy,
    replay_job,
    rules_version,
    site,
    streamer,
)

__all__ = [
    "api_key",
    "attempt",
    "audit",
    "channel",
    "dead_letter",
    "delivery",
    "notification",
    "policy",
    "replay_job",
    "rules_version",
    "site",
    "streamer",
]

"""What Belfry remembers. One noun, one file; every change of a delivery's state is in `transitions`."""

from notifications.models.api_key import ApiKey
from notifications.models.dead_letter import DeadLetter
from notifications.models.delivery import Attempt, Delivery
from notifications.models.follow import Follow
from notifications.models.notification import Notification
from notifications.models.policy import Policy
from notifications.models.replay_job import ReplayJob
from notifications.models.rules_version import RulesVersion
from notifications.models.streamer import Streamer

__all__ = [
    "ApiKey",
    "Attempt",
    "DeadLetter",
    "Delivery",
    "Follow",
    "Notification",
    "Policy",
    "ReplayJob",
    "RulesVersion",
    "Streamer",
]

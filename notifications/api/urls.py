"""Routes of the API, below /api/. `docs/api.md` lists them, and a test compares the two."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter
from django.urls.converters import StringConverter

from notifications.api.channel_control import ChannelControl
from notifications.api.channels import Channels
from notifications.api.dead_letters import DeadLetters
from notifications.api.deliveries import Deliveries
from notifications.api.event_types import EventTypes
from notifications.api.follows import Follows
from notifications.api.health import Health
from notifications.api.inbox import Inbox
from notifications.api.not_there import NotThere
from notifications.api.notifications import Notifications, NotificationsInBulk
from notifications.api.policies import Policies
from notifications.api.replay_jobs import ReplayJobs
from notifications.api.resource import Resources
from notifications.api.streamers import Streamers
from notifications.api.ticket import Ticket
from notifications.api.transports import Transports


class KeyConverter(StringConverter):
    """What a key of ours looks like."""

    regex = r"[a-zA-Z0-9][a-zA-Z0-9_.:-]*"


register_converter(KeyConverter, "key")


def _resource(name: str, lookup: str, view: type[Resources]) -> list[URLPattern]:
    """Routes of something that is created, listed, read, changed and deleted."""
    one: dict[str, Any] = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
    return [
        path(name, view.as_view({"get": "list", "post": "create"}), name=name),
        path(f"{name}/<{lookup}>", view.as_view(one), name=f"{name}-one"),
    ]


V1 = [
    path("notifications", Notifications.as_view({"get": "list", "post": "create"}), name="notifications"),
    path("notifications/bulk", NotificationsInBulk.as_view(), name="notifications-bulk"),
    path("notifications/<uuid:id>", Notifications.as_view({"get": "retrieve"}), name="notifications-one"),
    path(
        "notifications/<uuid:id>/withdraw", Notifications.as_view({"post": "withdraw"}), name="notifications-withdraw"
    ),
    path("deliveries", Deliveries.as_view({"get": "list"}), name="deliveries"),
    path("deliveries/<int:id>", Deliveries.as_view({"get": "retrieve"}), name="deliveries-one"),
    path("dead-letters", DeadLetters.as_view({"get": "list"}), name="dead-letters"),
    path("dead-letters/groups", DeadLetters.as_view({"get": "groups"}), name="dead-letters-groups"),
    path("dead-letters/replay", DeadLetters.as_view({"post": "replay_many"}), name="dead-letters-replay-many"),
    path("dead-letters/discard", DeadLetters.as_view({"post": "discard_many"}), name="dead-letters-discard-many"),
    path("dead-letters/<int:id>", DeadLetters.as_view({"get": "retrieve"}), name="dead-letters-one"),
    path("dead-letters/<int:id>/replay", DeadLetters.as_view({"post": "replay"}), name="dead-letters-replay"),
    path("dead-letters/<int:id>/discard", DeadLetters.as_view({"post": "discard"}), name="dead-letters-discard"),
    path("replay-jobs", ReplayJobs.as_view({"get": "list", "post": "create"}), name="replay-jobs"),
    path("replay-jobs/<int:id>", ReplayJobs.as_view({"get": "retrieve"}), name="replay-jobs-one"),
    path("replay-jobs/<int:id>/cancel", ReplayJobs.as_view({"post": "cancel"}), name="replay-jobs-cancel"),
    *_resource("streamers", "key:key", Streamers),
    *_resource("channels", "key:key", Channels),
    path("channels/<key:key>/test", Channels.as_view({"post": "test"}), name="channels-test"),
    path("channels/<key:key>/breaker", ChannelControl.as_view({"get": "read"}), name="channels-breaker"),
    path("channels/<key:key>/breaker/trip", ChannelControl.as_view({"post": "trip"}), name="channels-trip"),
    path("channels/<key:key>/breaker/reset", ChannelControl.as_view({"post": "reset"}), name="channels-reset"),
    path("channels/<key:key>/pause", ChannelControl.as_view({"post": "pause"}), name="channels-pause"),
    path("channels/<key:key>/resume", ChannelControl.as_view({"post": "resume"}), name="channels-resume"),
    path("channels/<key:key>/restore", ChannelControl.as_view({"post": "restore"}), name="channels-restore"),
    *_resource("policies", "int:id", Policies),
    path("follows", Follows.as_view({"get": "list", "post": "create"}), name="follows"),
    path(
        "follows/<int:id>",
        Follows.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="follows-one",
    ),
    path("inbox", Inbox.as_view({"get": "page"}), name="inbox"),
    path("inbox/state", Inbox.as_view({"get": "state"}), name="inbox-state"),
    path("inbox/changes", Inbox.as_view({"get": "changes"}), name="inbox-changes"),
    path("inbox/ack", Inbox.as_view({"post": "ack"}), name="inbox-ack"),
    path("inbox/read", Inbox.as_view({"post": "read"}), name="inbox-read"),
    path("inbox/unread", Inbox.as_view({"post": "unread"}), name="inbox-unread"),
    path("inbox/seen", Inbox.as_view({"post": "seen"}), name="inbox-seen"),
    path("inbox/archive", Inbox.as_view({"post": "archive"}), name="inbox-archive"),
    path("inbox/<uuid:id>", Inbox.as_view({"delete": "delete"}), name="inbox-one"),
    path("rt/ticket", Ticket.as_view({"post": "create"}), name="rt-ticket"),
    path("event-types", EventTypes.as_view(), name="event-types"),
    path("transports", Transports.as_view(), name="transports"),
    path("health", Health.as_view(), name="health"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", include(V1)),
    re_path(r"^v1(/.*)?$", NotThere.as_view(), name="not-there"),
]

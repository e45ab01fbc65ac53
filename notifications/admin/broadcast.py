"""Broadcasts: what was told to everybody, where feeds are so many that each gets it when it is next looked at."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from channels_app.models import Broadcast
from notifications.admin import badges
from notifications.admin.page import ReadOnlyPage


@admin.register(Broadcast)
class BroadcastAdmin(ReadOnlyPage[Broadcast]):
    list_display = ("subject", "event_type", "created", "expires", "withdrawn")
    ordering = ("-id",)
    empty_text = "Nothing was told to everybody that is not in all feeds already."
    fields = ("title", "body", "url", "event_type", "source", "created", "expires", "withdrawn")
    readonly_fields = ("created", "expires", "withdrawn")

    @admin.display(description="Broadcast", ordering="title")
    def subject(self, broadcast: Broadcast) -> str:
        return str(broadcast)

    @admin.display(description="Told (UTC)", ordering="id")
    def created(self, broadcast: Broadcast) -> SafeString:
        return badges.moment(broadcast.created_at)

    @admin.display(description="Expires")
    def expires(self, broadcast: Broadcast) -> SafeString:
        return badges.moment(broadcast.expires_at)

    @admin.display(description="Withdrawn")
    def withdrawn(self, broadcast: Broadcast) -> SafeString:
        return badges.moment(broadcast.withdrawn_at)

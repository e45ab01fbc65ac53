"""Devices: how far each of a recipient's programs has acknowledged."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from channels_app.models import Device
from notifications.admin import badges
from notifications.admin.page import ReadOnlyPage


@admin.register(Device)
class DeviceAdmin(ReadOnlyPage[Device]):
    list_display = ("key", "recipient", "acked_seq", "last_seen")
    search_fields = ("=recipient", "=key")
    search_help_text = "A recipient's key, or a device's."
    ordering = ("-id",)
    empty_text = "No device that fits has acknowledged anything."
    fields = ("recipient", "key", "acked_seq", "last_seen")
    readonly_fields = ("last_seen",)

    @admin.display(description="Last ack (UTC)")
    def last_seen(self, device: Device) -> SafeString:
        return badges.moment(device.last_seen_at)

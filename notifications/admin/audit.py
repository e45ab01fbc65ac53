"""Who did what in these rooms."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.utils.html import format_html
from django.utils.safestring import SafeString

from notifications.admin import badges
from notifications.admin.page import ReadOnlyPage


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyPage[LogEntry]):
    list_display = ("at", "user", "what", "on", "content_type")
    list_filter = ("action_flag", "user")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message", "user__username")
    search_help_text = "What it was done to, what was done, or who did it."
    ordering = ("-id",)
    empty_text = "Nobody has changed anything here yet."
    fields = ("at", "user", "what", "on", "content_type")
    readonly_fields = fields

    @admin.display(description="When (UTC)", ordering="id")
    def at(self, entry: LogEntry) -> SafeString:
        return badges.moment(entry.action_time)

    @admin.display(description="What")
    def what(self, entry: LogEntry) -> str:
        return entry.get_change_message() or entry.get_action_flag_display()

    @admin.display(description="To")
    def on(self, entry: LogEntry) -> SafeString | str:
        url = None if entry.is_deletion() else entry.get_admin_url()
        return format_html('<a href="{}">{}</a>', url, entry.object_repr) if url else entry.object_repr

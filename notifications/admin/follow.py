"""Follows: who wants to hear of whom, and from which priority on."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from notifications import priority
from notifications.admin import badges
from notifications.admin.page import Page
from notifications.models import Follow


@admin.register(Follow)
class FollowAdmin(Page[Follow]):
    list_display = ("recipient", "whom", "least", "since")
    list_select_related = ("streamer",)
    search_fields = ("recipient", "streamer__key", "streamer__name")
    search_help_text = "Recipient or streamer."
    autocomplete_fields = ("streamer",)
    ordering = ("-id",)
    empty_text = "Nobody follows anybody who fits. What is told of a streamer is written into its followers' feeds."
    fieldsets = ((None, {"fields": ("recipient", "streamer", "min_priority")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Follow | None = None) -> tuple[str, ...]:
        """Another recipient or streamer is another follow."""
        return ("recipient", "streamer") if obj else ()

    @admin.display(description="Follows", ordering="streamer__key")
    def whom(self, follow: Follow) -> str:
        return str(follow.streamer)

    @admin.display(description="From priority", ordering="min_priority")
    def least(self, follow: Follow) -> SafeString | str:
        number: Any = follow.min_priority
        return badges.priority_badge(number) if number != priority.LOWEST else "everything"

    @admin.display(description="Since (UTC)", ordering="id")
    def since(self, follow: Follow) -> SafeString:
        return badges.moment(follow.created_at)

"""Attempts: every try of every delivery, as it went."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from notifications.admin import badges
from notifications.admin.filters import ChannelOfDeliveryFilter
from notifications.admin.page import ReadOnlyPage
from notifications.admin.wording import title_of
from notifications.models import Attempt


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyPage[Attempt]):
    list_display = ("began", "came_to", "took", "said", "channel", "delivery_link")
    list_filter = ("outcome", ChannelOfDeliveryFilter)
    list_select_related = ("delivery__channel", "delivery__notification__streamer")
    ordering = ("-id",)
    empty_text = "Nothing has been tried that fits. A worker makes an attempt when a delivery is due."
    fields = ("began", "came_to", "took", "detail", "channel", "delivery_link")
    readonly_fields = fields

    @admin.display(description="Began (UTC)", ordering="id")
    def began(self, attempt: Attempt) -> SafeString:
        return badges.moment(attempt.started_at)

    @admin.display(description="Outcome", ordering="outcome")
    def came_to(self, attempt: Attempt) -> SafeString:
        return badges.outcome_badge(attempt.outcome, attempt.code)

    @admin.display(description="Took", ordering="duration_ms")
    def took(self, attempt: Attempt) -> str:
        return badges.duration(attempt.duration_ms)

    @admin.display(description="Answer")
    def said(self, attempt: Attempt) -> str:
        return attempt.detail if len(attempt.detail) <= 100 else f"{attempt.detail[:99]}…"

    @admin.display(description="Channel")
    def channel(self, attempt: Attempt) -> SafeString:
        return badges.channel_link(attempt.delivery.channel)

    @admin.display(description="Delivery")
    def delivery_link(self, attempt: Attempt) -> SafeString:
        url = reverse("admin:notifications_delivery_change", args=(attempt.delivery_id,))
        return format_html('<a href="{}">{}</a>', url, title_of(attempt.delivery.notification))

"""Deliveries: one notification on its way to one channel, with everything that happened to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from notifications.admin import badges, timeline
from notifications.admin.filters import ChannelFilter, PriorityFilter, StateFilter
from notifications.admin.page import ReadOnlyPage
from notifications.admin.wording import title_of
from notifications.models import Delivery
from notifications.states import OPEN, State


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyPage[Delivery]):
    change_form_template = "admin/belfry/delivery.html"
    list_display = ("of", "to", "state_shown", "told_why", "moves")
    list_filter = (StateFilter, ChannelFilter, PriorityFilter)
    list_select_related = ("notification__streamer", "channel")
    search_fields = ("address", "reason_code")
    search_help_text = "Number of a delivery, id of a notification or message, address, or the code of a reason."
    ordering = ("-id",)
    empty_text = "No delivery fits. They come to be when a notification is routed to the channels that are meant."
    fields = (
        "notification_link",
        "channel_link",
        "state_shown",
        "why",
        "address",
        "lane",
        "attempts",
        "moves",
        "message_id",
    )
    readonly_fields = ("notification_link", "channel_link", "state_shown", "why", "moves", "message_id")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """An id, or the id that a receiver saw (`msg_<notification>_<delivery>`), leads straight there."""
        words = search_term.strip()
        number = words.rpartition("_")[2] if words.startswith("msg_") else words
        if number.isdecimal():
            return queryset.filter(pk=int(number)), False
        try:
            return queryset.filter(notification_id=UUID(words)), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        delivery = self.get_object(request, object_id)
        told = [] if delivery is None else [timeline.tell_one(delivery)]
        return super().change_view(request, object_id, form_url, {"told": told, **(extra_context or {})})

    @admin.display(description="Notification")
    def of(self, delivery: Delivery) -> str:
        return title_of(delivery.notification)

    @admin.display(description="Channel")
    def to(self, delivery: Delivery) -> str:
        return str(delivery.channel)

    @admin.display(description="State", ordering="state")
    def state_shown(self, delivery: Delivery) -> SafeString:
        return badges.badge(delivery.state)

    @admin.display(description="Why")
    def told_why(self, delivery: Delivery) -> str:
        return delivery.reason

    @admin.display(description="Why")
    def why(self, delivery: Delivery) -> str:
        return timeline.standing(delivery)

    @admin.display(description="Ended or due (UTC)")
    def moves(self, delivery: Delivery) -> SafeString:
        return badges.moment(delivery.due_at if State(delivery.state) in OPEN else delivery.settled_at)

    @admin.display(description="Notification")
    def notification_link(self, delivery: Delivery) -> SafeString:
        url = reverse("admin:notifications_notification_change", args=(delivery.notification_id,))
        return format_html('<a href="{}">{}</a>', url, title_of(delivery.notification))

    @admin.display(description="Channel")
    def channel_link(self, delivery: Delivery) -> SafeString:
        return badges.channel_link(delivery.channel)

    @admin.display(description="Message id", empty_value="–")
    def message_id(self, delivery: Delivery) -> str:
        return delivery.idempotency_id

"""Feed items: what was told to whom, and how far it got. Delivered, seen and read are three things."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from channels_app.models import InboxItem
from notifications.admin import badges
from notifications.admin.page import ReadOnlyPage


class ReachFilter(admin.SimpleListFilter):
    """By how far it got."""

    title, parameter_name = "how far it got", "reach"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("waiting", "on no device yet"),
            ("delivered", "on a device"),
            ("unread", "unread"),
            ("read", "read"),
            ("archived", "archived"),
            ("deleted", "deleted"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[InboxItem]) -> QuerySet[InboxItem]:
        kept = queryset.filter(deleted_at=None)
        found = {
            "waiting": kept.filter(delivered_at=None),
            "delivered": kept.filter(delivered_at__isnull=False),
            "unread": kept.filter(read_at=None, archived_at=None),
            "read": kept.filter(read_at__isnull=False),
            "archived": kept.filter(archived_at__isnull=False),
            "deleted": queryset.filter(deleted_at__isnull=False),
        }.get(self.value() or "")
        return queryset if found is None else found


@admin.register(InboxItem)
class FeedItemAdmin(ReadOnlyPage[InboxItem]):
    list_display = ("subject", "of", "delivered", "seen", "read", "created")
    list_filter = (ReachFilter,)
    search_fields = ("=recipient", "=source")
    search_help_text = "A recipient's key, or the id of a notification."
    ordering = ("-id",)
    empty_text = "Nothing stands in any feed that fits."
    readonly_fields = ("urgency", "created", "expires", "delivered", "seen", "read", "archived", "deleted", "told_of")
    fieldsets = (
        (None, {"fields": ("recipient", "event_type", "urgency", "title", "body", "url", "told_of")}),
        (
            "How far it got (UTC)",
            {"fields": ("created", "delivered", "seen", "read", "archived", "deleted", "expires")},
        ),
        ("Numbers", {"fields": ("id", "seq", "changed_seq", "content_type", "wants_ack"), "classes": ("collapse",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboxItem]:
        return super().get_queryset(request).defer("payload")

    @admin.display(description="Item", ordering="title")
    def subject(self, item: InboxItem) -> SafeString:
        title = item.title or ("(deleted)" if item.deleted_at else item.event_type)
        return format_html('{}<br><small class="bf-said">{}</small>', title, item.event_type)

    @admin.display(description="In the feed of", ordering="recipient")
    def of(self, item: InboxItem) -> SafeString:
        url = reverse("admin:channels_app_inboxstate_change", args=(quote(item.recipient),))
        return format_html('<a href="{}">{}</a>', url, item.recipient)

    @admin.display(description="Priority")
    def urgency(self, item: InboxItem) -> SafeString:
        return badges.priority_badge(item.priority)

    @admin.display(description="Notification")
    def told_of(self, item: InboxItem) -> SafeString | str | None:
        if item.source is None:
            return None
        url = reverse("admin:notifications_notification_change", args=(item.source,))
        return format_html('<a href="{}">{}</a>', url, item.source)

    @admin.display(description="Written", ordering="id")
    def created(self, item: InboxItem) -> SafeString:
        return badges.moment(item.created_at)

    @admin.display(description="Delivered")
    def delivered(self, item: InboxItem) -> SafeString:
        if item.delivered_at is None:
            return badges.moment(None)
        return format_html("{} <small>on {}</small>", badges.moment(item.delivered_at), item.delivered_device)

    @admin.display(description="Seen")
    def seen(self, item: InboxItem) -> SafeString:
        return badges.moment(item.seen_at)

    @admin.display(description="Read")
    def read(self, item: InboxItem) -> SafeString:
        return badges.moment(item.read_at)

    @admin.display(description="Archived")
    def archived(self, item: InboxItem) -> SafeString:
        return badges.moment(item.archived_at)

    @admin.display(description="Deleted")
    def deleted(self, item: InboxItem) -> SafeString:
        return badges.moment(item.deleted_at)

    @admin.display(description="Expires")
    def expires(self, item: InboxItem) -> SafeString:
        return badges.moment(item.expires_at)

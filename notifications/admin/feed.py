"""Feeds: how each one stands, what is in it, and its erasure when its recipient asks for that."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from channels_app.models import Device, InboxItem, InboxState
from notifications.admin.page import ReadOnlyPage
from notifications.erasure import erase
from notifications.models import Follow

#: Items that its page shows; the list of items has the rest.
MOST_SHOWN = 50


@admin.register(InboxState)
class FeedAdmin(ReadOnlyPage[InboxState]):
    change_form_template = "admin/belfry/feed.html"
    list_display = ("recipient", "unread", "last_seq", "cursor")
    search_fields = ("recipient__startswith",)
    search_help_text = "The beginning of a recipient's key."
    ordering = ("recipient",)
    empty_text = "Nobody whose key fits has a feed. It begins with the first item, or when its recipient first looks."
    fieldsets = (
        ("How it stands", {"fields": ("recipient", "unread", "cursor")}),
        (
            "Numbers",
            {
                "fields": ("epoch", "last_seq", "floor_seq", "read_upto", "version", "broadcast_upto"),
                "classes": ("collapse",),
            },
        ),
    )
    readonly_fields = ("cursor",)

    @admin.display(description="Cursor")
    def cursor(self, feed: InboxState) -> str:
        return f"{feed.epoch}-{feed.last_seq}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        feed = self.get_object(request, unquote(object_id))
        context: dict[str, Any] = {}
        if feed is not None:
            items = InboxItem.objects.filter(recipient=feed.pk, deleted_at=None).order_by("-seq")
            context = {
                "items": items.defer("payload")[:MOST_SHOWN],
                "most_shown": MOST_SHOWN,
                "devices": Device.objects.filter(recipient=feed.pk).order_by("-last_seen_at")[:MOST_SHOWN],
                "follows": Follow.objects.filter(recipient=feed.pk).select_related("streamer")[:MOST_SHOWN],
                "may_erase": self.may(request, "delete"),
                "erase_url": _address("erase", feed),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        erasing = path(
            "<path:object_id>/erase/", self.admin_site.admin_view(self.erase), name="channels_app_inboxstate_erase"
        )
        return [erasing, *super().get_urls()]

    def erase(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask first; then erase the recipient."""
        feed = self.one(request, unquote(object_id))
        if not self.may(request, "delete"):
            raise PermissionDenied
        if request.method == "POST":
            erased = erase(feed.pk, by=request.user.get_username())
            self.log_change(request, feed, f"Erased; items: {erased.items}, follows: {erased.follows}.")
            text = f"Erased. Items: {erased.items}. Follows: {erased.follows}."
            self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(_address("change", feed))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Erase {feed}?",
            "opts": self.opts,
            "media": self.media,
            "feed": feed,
            "back_url": _address("change", feed),
            "item_count": InboxItem.objects.filter(recipient=feed.pk).count(),
            "device_count": Device.objects.filter(recipient=feed.pk).count(),
            "follow_count": Follow.objects.filter(recipient=feed.pk).count(),
        }
        return TemplateResponse(request, "admin/belfry/erase_feed.html", context)


def _address(page: str, feed: InboxState) -> str:
    return reverse(f"admin:channels_app_inboxstate_{page}", args=(quote(feed.pk),))

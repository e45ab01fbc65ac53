"""Policies: who hears of what, for everyone, for a platform, for a streamer."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from notifications import priority
from notifications.admin.page import Page
from notifications.admin.policy_form import PolicyForm
from notifications.models import Policy


def _wider(policy: Policy) -> SafeString:
    """In place of a field that the policy leaves open."""
    word = "default" if policy.scope == Policy.Kind.GLOBAL else "inherited"
    return format_html('<span class="bf-inherits">{}</span>', word)


@admin.register(Policy)
class PolicyAdmin(Page[Policy]):
    form = PolicyForm
    list_display = ("whom", "on", "least", "types", "told")
    list_filter = ("scope",)
    list_select_related = ("streamer",)
    search_fields = ("platform", "streamer__key", "streamer__name")
    autocomplete_fields = ("streamer",)
    ordering = ("scope", "platform", "streamer__key")
    empty_text = (
        "No policy is set, so every shared channel hears of everything. Add one for everyone to change that, "
        "and narrower ones for a platform or a streamer."
    )
    fieldsets = (
        (
            "For whom",
            {
                "fields": ("scope", "platform", "streamer"),
                "description": "A streamer's policy stands above its platform's, that above the one for everyone. "
                "Each field is taken from the narrowest policy that sets it; what no policy sets is: on, every "
                "priority, every event type, all shared channels and the streamer's own.",
            },
        ),
        ("What is told", {"fields": ("enabled", "min_priority", "event_types")}),
        ("Where", {"fields": ("names_channels", "channels")}),
    )

    class Media:
        js = ("notifications/policy_form.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        return super().get_queryset(request).prefetch_related("channels")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Without the plus and the pencil: channels and streamers are made in their own rooms."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        widget = getattr(field, "widget", None)
        for sign in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
            if hasattr(widget, sign):
                setattr(widget, sign, False)
        return field

    @admin.display(description="For", ordering="scope")
    def whom(self, policy: Policy) -> str:
        return "everyone" if policy.scope == Policy.Kind.GLOBAL else str(policy)

    @admin.display(description="Notifications")
    def on(self, policy: Policy) -> SafeString | str:
        return _wider(policy) if policy.enabled is None else ("on" if policy.enabled else "off")

    @admin.display(description="Least priority", ordering="min_priority")
    def least(self, policy: Policy) -> SafeString | str:
        number = policy.min_priority
        return _wider(policy) if number is None else f"{number}: {priority.label(number)}"

    @admin.display(description="Event types")
    def types(self, policy: Policy) -> SafeString | str:
        return _wider(policy) if policy.event_types is None else ", ".join(policy.event_types) or "none"

    @admin.display(description="Told")
    def told(self, policy: Policy) -> SafeString | str:
        if not policy.names_channels:
            return _wider(policy)
        return ", ".join(str(channel) for channel in policy.channels.all()) or "nobody"

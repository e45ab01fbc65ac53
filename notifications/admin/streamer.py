"""Streamers: what notifications are about, and which rules are in force for each."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from notifications import priority, rulebook
from notifications.admin.page import Page
from notifications.models import Policy, Streamer
from notifications.policy import Scope, select
from notifications.rulebook import Rulebook


@admin.register(Streamer)
class StreamerAdmin(Page[Streamer]):
    change_form_template = "admin/belfry/streamer.html"
    list_display = ("name", "key", "platform", "tags_shown", "policy_shown", "keys_shown", "heard_of")
    list_filter = ("platform",)
    list_select_related = ("policy",)
    search_fields = ("key", "name", "platform", "tags")
    ordering = ("name", "key")
    empty_text = (
        "No streamer fits. A streamer is what notifications are about: add one, then name its key when you send."
    )
    fieldsets = ((None, {"fields": (("name", "key"), "platform", "tags")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Streamer]:
        return super().get_queryset(request).annotate(key_count=Count("api_keys"))

    def get_prepopulated_fields(self, request: HttpRequest, obj: Streamer | None = None) -> dict[str, Any]:
        return {} if obj else {"key": ("name",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Streamer | None = None) -> tuple[str, ...]:
        """The key stands in channels, programs and files: it is chosen once."""
        return ("key",) if obj else ()

    @admin.display(description="Tags")
    def tags_shown(self, streamer: Streamer) -> str | None:
        return ", ".join(streamer.tags) or None

    @admin.display(description="Policy")
    def policy_shown(self, streamer: Streamer) -> SafeString | None:
        policy = getattr(streamer, "policy", None)
        if policy is None:
            return None
        return format_html('<a href="{}">its own</a>', reverse("admin:notifications_policy_change", args=(policy.pk,)))

    @admin.display(description="API keys", ordering="key_count")
    def keys_shown(self, streamer: Streamer) -> SafeString:
        url = reverse("admin:notifications_apikey_changelist")
        return format_html('<a href="{}?streamer__id__exact={}">{}</a>', url, streamer.pk, vars(streamer)["key_count"])

    @admin.display(description="Notifications")
    def heard_of(self, streamer: Streamer) -> SafeString:
        url = reverse("admin:notifications_notification_changelist")
        return format_html('<a href="{}?streamer__id__exact={}">show</a>', url, streamer.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        streamer = self.get_object(request, object_id)
        context = {} if streamer is None else {"in_force": in_force(streamer, rulebook.current()), **_links(streamer)}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})


def in_force(streamer: Streamer, book: Rulebook) -> list[tuple[str, SafeString | str, SafeString]]:
    """The policy in force for a streamer, as (what, value, where it is set)."""
    policy = book.effective(streamer_key=streamer.key, platform=streamer.platform)
    least = policy.min_priority.value or priority.LOWEST
    links = _policy_links(streamer)
    candidates = (channel.candidate for channel in book.channels.values())
    told = [book.channels[found.id].row for found in select(policy, candidates, streamer_key=streamer.key)]
    names = (
        format_html_join(", ", "{}{}", ((str(channel), "" if channel.enabled else " (off)") for channel in told))
        or "nobody"
    )
    return [
        ("Notifications", "on" if policy.enabled.value else "off", links[policy.enabled.scope]),
        ("Least priority", f"{least}: {priority.label(least)}", links[policy.min_priority.scope]),
        ("Event types", ", ".join(policy.event_types.value or ()) or "none", links[policy.event_types.scope]),
        ("Told", names, links[policy.channel_ids.scope]),
    ]


def _policy_links(streamer: Streamer) -> dict[Scope, SafeString]:
    words = {
        Scope.GLOBAL: "the policy for everyone",
        Scope.PLATFORM: f"the policy of {streamer.platform}",
        Scope.STREAMER: "its own policy",
    }
    links = {Scope.DEFAULT: SafeString("no policy: Belfry's default")}
    for policy in _policies_of(streamer):
        url = reverse("admin:notifications_policy_change", args=(policy.pk,))
        links[Scope(policy.scope)] = format_html('<a href="{}">{}</a>', url, words[Scope(policy.scope)])
    # One that was made or dropped a moment ago has no page to lead to.
    return {**{scope: format_html("{}", word) for scope, word in words.items()}, **links}


def _policies_of(streamer: Streamer) -> list[Policy]:
    everyone = Policy.objects.filter(scope=Policy.Kind.GLOBAL)
    platform = Policy.objects.filter(scope=Policy.Kind.PLATFORM, platform=streamer.platform)
    return list(everyone | platform | Policy.objects.filter(streamer=streamer))


def _links(streamer: Streamer) -> dict[str, str]:
    own = getattr(streamer, "policy", None)
    notifications = reverse("admin:notifications_notification_changelist")
    adding = f"{reverse('admin:notifications_policy_add')}?scope=streamer&streamer={streamer.pk}"
    return {
        "policy_url": reverse("admin:notifications_policy_change", args=(own.pk,)) if own else adding,
        "policy_text": "Change its policy" if own else "Give it a policy of its own",
        "channel_url": f"{reverse('admin:channels_app_channel_add')}?owner_key={streamer.key}",
        "notifications_url": f"{notifications}?streamer__id__exact={streamer.pk}",
    }

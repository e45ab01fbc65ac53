"""Channels: chosen by kind, set up by a form that comes from the kind, tried out, retired."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from channels_app import registry
from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications import channel_control, clock, trial
from notifications.admin import badges, config_field
from notifications.admin.channel_controls import CONTROLS, PAUSES, Press, offered, press
from notifications.admin.channel_form import form_for
from notifications.admin.page import Page
from notifications.admin.status import troubled_channels
from notifications.admin.wording import title_of
from notifications.models import DeadLetter, Delivery, Policy
from notifications.retirement import retire
from notifications.states import OPEN, State

_RETRIES = (
    "max_attempts",
    ("retry_base_s", "retry_cap_s"),
    "retry_jitter",
    "retry_window_s",
    "transient_codes",
    "timeout_s",
)
_BREAKER = (
    "breaker_consecutive_failures",
    ("breaker_failure_rate", "breaker_min_calls", "breaker_window_s"),
    "breaker_cooldown_s",
)
_LIMITS = (("rate_per_s", "rate_burst"), "max_in_flight")
_LAST_DELIVERIES = 8


class ServiceFilter(admin.SimpleListFilter):
    """Those in service, unless one asks for others."""

    title, parameter_name = "service", "service"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("trouble", "in trouble"),
            ("off", "switched off"),
            ("quarantined", "quarantined"),
            ("deleted", "deleted"),
        ]

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": "all but deleted"} if choice["display"] == "All" else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> QuerySet[Channel]:
        current = queryset.filter(deleted_at__isnull=True)
        if self.value() == "trouble":
            return current.filter(pk__in=troubled_channels())
        if self.value() == "off":
            return current.filter(enabled=False)
        if self.value() == "quarantined":
            return current.filter(quarantined_at__isnull=False)
        return queryset.filter(deleted_at__isnull=False) if self.value() == "deleted" else current


class KindFilter(admin.SimpleListFilter):
    title, parameter_name = "kind", "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(transport.kind, transport.label) for transport in registry.all_transports()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> QuerySet[Channel]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Channel)
class ChannelAdmin(Page[Channel]):
    change_form_template = "admin/belfry/channel.html"
    list_display = ("name_shown", "kind_shown", "service", "owner", "open_shown", "dead_shown", "key")
    list_filter = (ServiceFilter, KindFilter)
    search_fields = ("key", "name", "owner_key")
    ordering = ("name", "key")
    empty_text = "No channel fits. A channel is a place that is told: add one, and send it a test."
    readonly_fields = ("kind_shown", "service")

    def complete(self, rows: Sequence[Channel]) -> None:
        counts = defaultdict(int, _open_by_channel([row.pk for row in rows]))
        waiting = DeadLetter.objects.waiting().filter(channel__in=rows).order_by().values_list("channel")
        dead = dict(waiting.annotate(count=Count("pk")))
        for row in rows:
            vars(row).update(open_count=counts[row.pk], dead_count=dead.get(row.pk, 0))

    @admin.display(description="Channel", ordering="name")
    def name_shown(self, channel: Channel) -> str:
        return str(channel)

    @admin.display(description="Kind", ordering="kind")
    def kind_shown(self, channel: Channel) -> str:
        return registry.get(channel.kind).label if channel.kind in registry.all_kinds() else f"{channel.kind} (missing)"

    @admin.display(description="Service")
    def service(self, channel: Channel) -> SafeString:
        return badges.channel_badge(channel)

    @admin.display(description="Used by", ordering="owner_key")
    def owner(self, channel: Channel) -> str:
        return f"{channel.owner_key} alone" if channel.owner_key else "everyone"

    @admin.display(description="Open")
    def open_shown(self, channel: Channel) -> SafeString:
        url = reverse("admin:notifications_delivery_changelist")
        return format_html(
            '<a href="{}?channel={}&amp;state=open">{}</a>', url, channel.pk, vars(channel)["open_count"]
        )

    @admin.display(description="Dead letters")
    def dead_shown(self, channel: Channel) -> SafeString:
        url = reverse("admin:notifications_deadletter_changelist")
        return format_html('<a href="{}?channel={}">{}</a>', url, channel.pk, vars(channel)["dead_count"])

    # --- The form -------------------------------------------------------------------------------

    def get_form(
        self, request: HttpRequest, obj: Channel | None = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm[Channel]]:
        kwargs["form"] = form_for(obj.kind if obj else _kind(request), obj)
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        form = form_for(obj.kind if obj else _kind(request), obj)
        settings = [_row(field, form.base_fields) for field in form.settings]
        label = registry.get(form.kind).label if form.settings else form.kind
        basics = (("name", "key"), "enabled", "owner_key")
        return [
            (None, {"fields": (*(("kind_shown",) if obj else ()), *basics)}),
            *([(f"Settings of {label}", {"fields": settings})] if settings else []),
            ("Retries", {"fields": ("retry_preset", *_RETRIES), "classes": ("collapse",)}),
            ("Circuit breaker", {"fields": _BREAKER, "classes": ("collapse",)}),
            ("Limits", {"fields": _LIMITS, "classes": ("collapse",)}),
        ]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Channel | None = None) -> dict[str, Sequence[str]]:
        return {} if obj else {"key": ("name",)}

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner_key": request.GET.get("owner_key", "")}

    def has_change_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        """A deleted channel can be looked at, because its deliveries lead to it."""
        return (obj is None or obj.deleted_at is None) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        return (obj is None or obj.deleted_at is None) and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: Any) -> None:
        """Write what the form is about: the rest of the row, such as a quarantine, is the workers'."""
        if not change:
            return super().save_model(request, obj, form, change)
        asked = [column.name for column in self.opts.concrete_fields if column.name in form.cleaned_data]
        columns = [*asked, "config", "secrets", "secret_names", "updated_at"]
        by = request.user.get_username()
        if channel_control.change_settings(obj, lambda: obj.save(update_fields=columns), by=by, now=clock.now()):
            self.message_user(request, f"{obj} has new settings, and is back in service.", messages.SUCCESS)
        return None

    @method_decorator(sensitive_post_parameters())
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Adding begins with the choice of a kind."""
        if object_id is None and _kind(request) not in registry.all_kinds():
            return self._choose_kind(request)
        context = {**self._beside(request, object_id), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def _choose_kind(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Add a channel: of which kind?",
            "opts": self.opts,
            "media": self.media,
            "kinds": [(t.kind, t.label, _about(t)) for t in registry.all_transports()],
            "query": "".join(f"&{name}={request.GET[name]}" for name in ("owner_key",) if name in request.GET),
        }
        return TemplateResponse(request, "admin/belfry/choose_kind.html", context)

    def _beside(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        channel = self.get_object(request, object_id) if object_id else None
        if channel is None:
            return {}
        deliveries = Delivery.objects.filter(channel=channel).select_related("notification__streamer").order_by("-id")
        last = [
            (delivery, title_of(delivery.notification), badges.badge(delivery.state))
            for delivery in deliveries[:_LAST_DELIVERIES]
        ]
        standing = channel_control.look(channel, clock.now()) if channel.deleted_at is None else None
        return {
            "last": last,
            "badge": badges.channel_badge(channel),
            "standing": standing,
            "controls": offered(channel, standing) if standing else (),
            "pauses": PAUSES,
            **_waiting_for(channel),
        }

    # --- Trying it out, and ending it -----------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        control = path("<path:object_id>/control/<slug:word>/", self.admin_site.admin_view(require_POST(self.control)))
        control.name = "channels_app_channel_control"
        return [self.button("test", self.test), control, *super().get_urls()]

    def control(self, request: HttpRequest, object_id: str, word: str) -> HttpResponse:
        """Press a button of its gates."""
        channel = self.one(request, object_id)
        if word not in CONTROLS or not self.has_change_permission(request, channel):
            raise PermissionDenied
        asked_s = request.POST.get("seconds", "")
        seconds = next((known for known in PAUSES if str(known) == asked_s), min(PAUSES))
        done, said = press(word, Press(channel, request.user.get_username(), clock.now(), seconds))
        if done:
            self.log_change(request, channel, f"By hand: {said}")
        self.message_user(request, said, messages.SUCCESS if done else messages.ERROR)
        return HttpResponseRedirect(reverse("admin:channels_app_channel_change", args=(channel.pk,)))

    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send a test and say what came of it."""
        channel = self.one(request, object_id)
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        tried = trial.send_test(channel, by=request.user.get_username(), now=clock.now())
        verdict = tried.verdict
        said = " ".join(part for part in (verdict.outcome.value, str(verdict.code or ""), verdict.detail) if part)
        took = badges.duration(tried.duration_ms)
        self.log_change(request, channel, f"Sent a test: {verdict.outcome.value} {verdict.code or ''}".strip() + ".")
        if verdict.outcome is Outcome.OK:
            self.message_user(request, f"The test was taken by {channel} after {took} ({said}).", messages.SUCCESS)
        else:
            self.message_user(request, f"The test did not arrive, after {took}: {said}", messages.ERROR)
        return HttpResponseRedirect(reverse("admin:channels_app_channel_change", args=(channel.pk,)))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Retire it, after saying what that ends."""
        channel = self.one(request, object_id)
        if not self.has_delete_permission(request, channel):
            raise PermissionDenied
        if request.method == "POST":
            ended = retire(channel, by=request.user.get_username(), now=clock.now())
            self.log_change(request, channel, f"Deleted; deliveries cancelled: {ended}.")
            self.message_user(request, f"{channel} is deleted. Deliveries cancelled: {ended}.", messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:channels_app_channel_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Delete {channel}?",
            "opts": self.opts,
            "media": self.media,
            "channel": channel,
            "policies": Policy.objects.filter(names_channels=True, channels=channel).select_related("streamer"),
            **_waiting_for(channel),
        }
        return TemplateResponse(request, "admin/belfry/retire_channel.html", context)


def _kind(request: HttpRequest) -> str:
    return request.GET.get("kind", "")


def _row(field: config_field.ConfigField, present: Any) -> Any:
    return (field.form_name, field.clear_name) if field.clear_name in present else field.form_name


def _about(transport: registry.AnyTransport) -> str:
    """The first sentence of the transport's own file, without its name at the beginning."""
    module = inspect.getmodule(type(transport))
    first = (inspect.getdoc(module) or "").partition("\n")[0]
    said = first.partition(": ")[2] or first
    return said[:1].upper() + said[1:]


def _open_by_channel(ids: Sequence[int]) -> list[tuple[int, int]]:
    rows = Delivery.objects.in_state(*OPEN).filter(channel__in=ids).order_by().values_list("channel")
    return list(rows.annotate(count=Count("pk")))


def _waiting_for(channel: Channel) -> dict[str, int]:
    return {
        "open_count": Delivery.objects.in_state(*OPEN).filter(channel=channel).count(),
        "sending_count": Delivery.objects.in_state(State.SENDING).filter(channel=channel).count(),
        "dead_count": DeadLetter.objects.waiting().filter(channel=channel).count(),
    }

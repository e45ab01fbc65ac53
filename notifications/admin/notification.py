"""Notifications: found again, explained, withdrawn. Nobody edits what a producer said."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from notifications import clock, withdrawal
from notifications.admin import badges, timeline
from notifications.admin.filters import AcceptedFilter, PriorityFilter
from notifications.admin.page import ReadOnlyPage, seen
from notifications.admin.wording import title_of
from notifications.models import Delivery, Notification
from notifications.states import OPEN, State

_WITHDRAWING = (
    "What was not sent yet is not sent, and feeds lose it. What has arrived stays there. This cannot be undone."
)


class StandingFilter(admin.SimpleListFilter):
    """By what became of it."""

    title, parameter_name = "where it stands", "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("waiting", "something is still open"),
            ("dead", "dead somewhere"),
            ("delivered", "delivered somewhere"),
            ("suppressed", "suppressed somewhere"),
            ("nowhere", "no channel and no feed was meant"),
            ("withdrawn", "withdrawn"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = {
            "waiting": Q(routed_at__isnull=True) | Q(feed_due_at__isnull=False) | Q(_any(*OPEN)),
            "dead": Q(_any(State.DEAD)),
            "delivered": Q(_any(State.DELIVERED)) | Q(feeds__gt=0, withdrawn_at__isnull=True),
            "suppressed": Q(_any(State.SUPPRESSED)),
            "nowhere": Q(routed_at__isnull=False, feeds__isnull=True, feed_due_at__isnull=True) & ~Q(_any(*State)),
            "withdrawn": Q(withdrawn_at__isnull=False),
        }.get(self.value() or "")
        return queryset if found is None else queryset.filter(found)


def _any(*states: State) -> Exists:
    return Exists(Delivery.objects.filter(notification=OuterRef("pk"), state__in=states))


#: Field of the page → column: shown where the column holds something.
_WHERE_SET = {
    "streamer": "streamer_id",
    "recipients": "recipients",
    "scheduled": "scheduled_at",
    "expires": "expires_at",
    "withdrawn": "withdrawn_at",
}


@admin.register(Notification)
class NotificationAdmin(ReadOnlyPage[Notification]):
    change_form_template = "admin/belfry/notification.html"
    list_display = ("subject", "urgency", "about", "standing", "counts", "accepted")
    list_filter = (AcceptedFilter, StandingFilter, PriorityFilter)
    list_select_related = ("streamer",)
    search_fields = ("title", "event_type", "idempotency_key", "streamer__key", "streamer__name")
    search_help_text = "Title, event type, streamer, idempotency key, or the id of a notification or message."
    ordering = ("-id",)
    actions = ("withdraw",)
    empty_text = "Nothing has been accepted that fits. Programs send to POST /api/v1/notifications with an API key."
    readonly_fields = ("urgency", "accepted", "scheduled", "expires", "withdrawn", "data_shown")

    def get_fieldsets(self, request: HttpRequest, obj: Notification | None = None) -> Any:
        said = [field for field, column in _WHERE_SET.items() if obj is not None and getattr(obj, column)]
        data = ("id", "producer", "idempotency_key", "data_shown")
        return [
            ("As it was accepted", {"fields": ("event_type", "urgency", "accepted", *said)}),
            ("Data", {"fields": data, "classes": ("collapse",)}),
        ]

    def complete(self, rows: Sequence[Notification]) -> None:
        ids = [row.pk for row in rows]
        standing = {found.pk: found.state for found in Notification.objects.filter(pk__in=ids).with_state()}
        by_state: dict[UUID, dict[str, int]] = defaultdict(dict)
        counted = Delivery.objects.filter(notification__in=ids).values_list("notification_id", "state")
        for notification_id, state, count in counted.order_by().annotate(count=Count("pk")):
            by_state[notification_id][state] = count
        for row in rows:
            vars(row).update(state=standing[row.pk], by_state=by_state[row.pk])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Notification], search_term: str
    ) -> tuple[QuerySet[Notification], bool]:
        """An id, or the id that receivers saw (`msg_<notification>_<delivery>`), leads straight there."""
        words = search_term.strip().removeprefix("msg_").partition("_")[0]
        try:
            return queryset.filter(pk=UUID(words)), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

    def called(self, row: Notification) -> str:
        return title_of(row)

    @admin.display(description="Notification", ordering="title")
    def subject(self, notification: Notification) -> SafeString:
        event_type = notification.event_type
        return format_html('{}<br><small class="bf-said">{}</small>', title_of(notification), event_type)

    @admin.display(description="Priority", ordering="priority")
    def urgency(self, notification: Notification) -> SafeString:
        return badges.priority_badge(notification.priority)

    @admin.display(description="Streamer", ordering="streamer__key")
    def about(self, notification: Notification) -> str | None:
        return str(notification.streamer) if notification.streamer else None

    @admin.display(description="Stands")
    def standing(self, notification: Notification) -> SafeString:
        return badges.badge(notification.state)

    @admin.display(description="Deliveries")
    def counts(self, notification: Notification) -> SafeString:
        by_state: dict[str, int] = vars(notification).get("by_state", {})
        if not by_state:
            word = "none" if notification.routed_at else "not routed yet"
            return format_html('<span title="{}">{}</span>', notification.routing_note, word)
        url = reverse("admin:notifications_delivery_changelist")
        return format_html_join(
            ", ",
            '<a href="{}?notification__id__exact={}&amp;state={}">{} {}</a>',
            ((url, notification.pk, state, count, state) for state, count in sorted(by_state.items())),
        )

    @admin.display(description="Accepted (UTC)", ordering="id")
    def accepted(self, notification: Notification) -> SafeString:
        return badges.moment(notification.accepted_at)

    @admin.display(description="Scheduled for")
    def scheduled(self, notification: Notification) -> SafeString:
        return badges.moment(notification.scheduled_at)

    @admin.display(description="Expires")
    def expires(self, notification: Notification) -> SafeString:
        return badges.moment(notification.expires_at)

    @admin.display(description="Withdrawn")
    def withdrawn(self, notification: Notification) -> SafeString:
        return badges.moment(notification.withdrawn_at)

    @admin.display(description="Data")
    def data_shown(self, notification: Notification) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(notification.data, indent=2, ensure_ascii=False))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        notification = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if notification is not None:
            context = {
                "subtitle": title_of(notification),
                "told": timeline.tell(notification.pk),
                "most_told": timeline.MOST_TOLD,
                "feeds": timeline.of_feeds(notification),
                "counted": timeline.counted(notification),
                "standing": badges.badge(notification.state),
                "may_withdraw": self.has_withdraw_permission(request) and notification.withdrawn_at is None,
                "is_open": notification.state == Notification.Summary.WAITING,
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        return [self.button("withdraw", self.withdraw_one), *super().get_urls()]

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        """Whoever could change it, if anybody could, may take it back."""
        return self.may(request, "change")

    def withdraw_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification = self.one(request, object_id)
        page = reverse("admin:notifications_notification_change", args=(notification.pk,))
        if not self.has_withdraw_permission(request):
            self.message_user(request, "You may not withdraw notifications.", messages.ERROR)
            return HttpResponseRedirect(page)
        return self._withdraw(request, Notification.objects.filter(pk=notification.pk), page)

    @admin.action(description="Withdraw: end what was not sent yet…", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Notification]) -> HttpResponse:
        return self._withdraw(request, seen(request, queryset), request.get_full_path())

    def _withdraw(self, request: HttpRequest, notifications: QuerySet[Notification], back_url: str) -> HttpResponse:
        meant = notifications.filter(withdrawn_at__isnull=True)
        if answer := self.make_sure(request, meant, verb="Withdraw", means=_WITHDRAWING, back_url=back_url):
            return answer
        ended, now, withdrawn = 0, clock.now(), list(meant)
        for notification in withdrawn:
            count = withdrawal.withdraw(notification, by=request.user.get_username(), now=now)
            self.log_change(request, notification, f"Withdrawn; deliveries ended: {count}.")
            ended += count
        text = f"Withdrawn: {len(withdrawn)}. Deliveries that were still open and end now: {ended}."
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(back_url)

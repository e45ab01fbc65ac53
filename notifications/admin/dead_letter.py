"""Dead letters: what failed for good, by cause; replayed or discarded after a look at what that means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from notifications import clock, dead_letters, replays
from notifications.admin import badges
from notifications.admin.dead_letter_groups import MAX_REASON_CHARS, NOTHING_LEFT, GroupedPage
from notifications.admin.filters import ChannelFilter
from notifications.admin.replay_job import begin
from notifications.admin.selecting import TooWide, selection_of
from notifications.admin.wording import title_of
from notifications.models import DeadLetter
from notifications.models.dead_letter import DeadLetterQuerySet

#: Causes that the list tells of on top.
_CAUSES = 5
#: More than so many are replayed by a job, which one can watch and end.
AT_ONCE = dead_letters.BATCH


class DecisionFilter(admin.SimpleListFilter):
    """Those that wait for a decision, unless one asks for others."""

    title, parameter_name = "decision", "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("replayed", "replayed"), ("discarded", "discarded"), ("all", "all")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            # Django calls the choice without a value "All"; here it means the waiting ones.
            yield {**choice, "display": "waiting"} if choice["display"] == "All" else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> QuerySet[DeadLetter]:
        if self.value() == "replayed":
            return queryset.filter(replayed_at__isnull=False)
        if self.value() == "discarded":
            return queryset.filter(discarded_at__isnull=False)
        if self.value() == "all":
            return queryset
        return queryset.filter(replayed_at__isnull=True, discarded_at__isnull=True)


@admin.register(DeadLetter)
class DeadLetterAdmin(GroupedPage):
    change_list_template = "admin/belfry/dead_letters.html"
    change_form_template = "admin/belfry/dead_letter.html"
    list_display = ("about", "channel_shown", "came_to", "said", "decision", "buried")
    list_filter = (DecisionFilter, "outcome", ChannelFilter)
    list_select_related = ("delivery__notification__streamer", "channel")
    date_hierarchy = "buried_at"
    search_fields = ("detail", "fingerprint", "delivery__notification__title")
    search_help_text = "What the far end said, or the title of the notification."
    ordering = ("-id",)
    actions = ("replay", "discard")
    empty_text = "No dead letter waits for you. What fails for good is kept here until you replay or discard it."
    fields = (
        "about",
        "delivery_link",
        "channel_shown",
        "came_to",
        "detail",
        "attempts",
        "buried",
        "decision",
        "discard_reason",
        "alike",
    )
    readonly_fields = ("about", "delivery_link", "channel_shown", "came_to", "buried", "decision", "alike")

    @admin.display(description="Notification")
    def about(self, letter: DeadLetter) -> str:
        return title_of(letter.delivery.notification)

    @admin.display(description="Delivery")
    def delivery_link(self, letter: DeadLetter) -> SafeString:
        url = reverse("admin:notifications_delivery_change", args=(letter.delivery_id,))
        return format_html('<a href="{}">{}: all its attempts</a>', url, letter.delivery_id)

    @admin.display(description="Channel")
    def channel_shown(self, letter: DeadLetter) -> SafeString:
        return badges.channel_link(letter.channel)

    @admin.display(description="Cause", ordering="outcome")
    def came_to(self, letter: DeadLetter) -> SafeString:
        return badges.outcome_badge(letter.outcome, letter.code)

    @admin.display(description="Answer")
    def said(self, letter: DeadLetter) -> str:
        return letter.detail if len(letter.detail) <= 90 else f"{letter.detail[:89]}…"

    @admin.display(description="Decision")
    def decision(self, letter: DeadLetter) -> SafeString:
        if letter.is_waiting:
            return badges.badge("waiting")
        return badges.badge(
            *(("replayed", f"replayed by {letter.decided_by}") if letter.replayed_at
              else ("discarded", f"discarded by {letter.decided_by}"))
        )  # fmt: skip

    @admin.display(description="Given up (UTC)", ordering="buried_at")
    def buried(self, letter: DeadLetter) -> SafeString:
        return badges.moment(letter.buried_at)

    @admin.display(description="Same cause")
    def alike(self, letter: DeadLetter) -> SafeString:
        url = f"{_list_url()}?fingerprint__exact={letter.fingerprint}&channel={letter.channel_id}"
        return format_html('<a href="{}">All of this channel that wait with the same cause</a>', url)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        causes = () if request.method == "POST" or request.GET else _causes()
        return super().changelist_view(request, {"causes": causes, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        letter = self.get_object(request, object_id)
        context = {
            "may_decide": letter is not None and letter.is_waiting and self.has_decide_permission(request),
            "list_url": _list_url(),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.action(description="Replay: send once more…", permissions=["decide"])
    def replay(self, request: HttpRequest, queryset: DeadLetterQuerySet) -> HttpResponse | None:
        letters = _seen(request, queryset)
        looked_at = replays.preview(letters)
        if "confirmed" not in request.POST:
            return self._ask(request, looked_at, "replay")
        if looked_at.to_replay > AT_ONCE:
            return self._start(request, letters, looked_at.newest)
        by, now = request.user.get_username(), clock.now()
        sent = self._decide(request, letters, lambda some: dead_letters.replay(some, by=by, now=now), "Replayed.")
        if sent:
            self.message_user(request, f"Sent on their way once more: {sent}.", messages.SUCCESS)
        else:
            self.message_user(request, NOTHING_LEFT, messages.WARNING)
        return None

    def _start(self, request: HttpRequest, letters: DeadLetterQuerySet, newest: int) -> HttpResponse | None:
        """Begin a job, and go where one can watch it."""
        try:
            selection = selection_of(request, letters)
        except TooWide as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        return begin(request, selection, upto=newest)

    @admin.action(description="Discard with a reason…", permissions=["decide"])
    def discard(self, request: HttpRequest, queryset: DeadLetterQuerySet) -> HttpResponse | None:
        letters = _seen(request, queryset)
        reason = request.POST.get("reason", "").strip()[:MAX_REASON_CHARS]
        if not reason:
            error = "Say why: the next person will want to know." if "confirmed" in request.POST else ""
            return self._ask(request, replays.preview(letters), "discard", error)
        by, now = request.user.get_username(), clock.now()

        def discard(some: list[DeadLetter]) -> int:
            return dead_letters.discard(some, reason=reason, by=by, now=now)

        ended = self._decide(request, letters, discard, f"Discarded: {reason}")
        self.tell_discarded(request, ended)
        return None

    def _decide(
        self, request: HttpRequest, letters: DeadLetterQuerySet, decide: Callable[[list[DeadLetter]], int], note: str
    ) -> int:
        """What still waits, in batches, each logged under the user's name. Returns how many were decided."""
        ids, decided = list(letters.waiting().values_list("pk", flat=True)), 0
        for first in range(0, len(ids), dead_letters.BATCH):
            batch = DeadLetter.objects.filter(pk__in=ids[first : first + dead_letters.BATCH])
            decided += decide(list(batch))
            LogEntry.objects.log_actions(request.user.pk or 0, batch.decided(), CHANGE, note)
        return decided

    def _ask(self, request: HttpRequest, looked_at: replays.Preview, verb: str, error: str = "") -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        return self.ask(
            request,
            looked_at,
            verb,
            error=error,
            checkbox=ACTION_CHECKBOX_NAME,
            # With everything selected, Django needs one id to see that an action was meant.
            chosen=chosen[:1] if across else chosen,
            across=across,
            # Chosen on a list that shows what waits, and no longer waiting.
            left=0 if across else len(chosen) - looked_at.count,
            is_job=verb == "replay" and looked_at.to_replay > AT_ONCE,
        )


def _seen(request: HttpRequest, letters: DeadLetterQuerySet) -> DeadLetterQuerySet:
    """Without what was buried after the preview was shown: nobody has agreed to that."""
    newest = request.POST.get("newest", "")
    return letters.filter(pk__lte=int(newest)) if newest.isdecimal() else letters


def _causes() -> list[tuple[dead_letters.Group, SafeString]]:
    waiting = DeadLetter.objects.waiting().select_related("channel")
    found = dead_letters.groups(waiting, limit=_CAUSES)
    return [(group, badges.outcome_badge(group.newest.outcome, group.newest.code)) for group in found]


def _list_url() -> str:
    return reverse("admin:notifications_deadletter_changelist")

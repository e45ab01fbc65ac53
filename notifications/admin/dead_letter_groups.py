"""Dead letters by cause: a thousand equal failures are one line, filtered, and decided on as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications import clock, dead_letters, replays
from notifications.admin import badges
from notifications.admin.page import ReadOnlyPage
from notifications.admin.replay_job import begin
from notifications.models import DeadLetter, ReplayJob
from notifications.models.dead_letter import DeadLetterQuerySet
from notifications.selection import Narrowed

#: Lines of the page; who has more kinds of failures than that filters.
MOST_GROUPS = 100
#: Of fewer, each gets its own line in the records of who did what.
MOST_LOGGED_ONE_BY_ONE = 100
MAX_REASON_CHARS = 200
NOTHING_LEFT = "Nothing was changed: what you chose was decided on meanwhile, or cannot be sent any more."
#: Replays under way that the page of a decision tells of.
_MOST_RUNNING = 5


class _Moment(forms.DateTimeInput):
    input_type = "datetime-local"


class GroupFilter(forms.Form):
    """What the page is narrowed to, as its address says. Times are in UTC."""

    channel = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)
    outcome = forms.ChoiceField(required=False, choices=[("", "any"), *((one.value, one.value) for one in Outcome)])
    streamer = forms.CharField(required=False, max_length=100, help_text="Its key.")
    event_type = forms.CharField(required=False, max_length=100)
    since = forms.DateTimeField(required=False, label="Given up from", widget=_Moment)
    until = forms.DateTimeField(required=False, label="Given up before", widget=_Moment)
    fingerprint = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        channels = Channel.objects.order_by("-deleted_at", "name").values_list("pk", "name", "key", "deleted_at")
        named = [(pk, (name or key) + (" (deleted)" if gone else "")) for pk, name, key, gone in channels]
        self.fields["channel"].choices = [("", "any"), *named]  # type: ignore[attr-defined]

    @property
    def selection(self) -> Narrowed:
        """What was asked for. Only where the form is valid."""
        given = {name: value for name, value in self.cleaned_data.items() if value}
        for name in ("since", "until"):
            if name in given:
                given[name] = given[name].astimezone(UTC)
        if "channel" in given:
            given["channel_id"] = given.pop("channel")
        return Narrowed(**given)


@dataclass(frozen=True, slots=True)
class Line:
    """One cause on the page. `query` is the address of its letters and decisions."""

    group: dead_letters.Group
    cause: SafeString
    query: str
    listed: str


class GroupedPage(ReadOnlyPage[DeadLetter]):
    """The part of the room of dead letters that shows them by cause."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("groups/", view(self.groups), name="notifications_deadletter_groups"),
            path("groups/<slug:verb>/", view(self.decide_all), name="notifications_deadletter_decide"),
            *super().get_urls(),
        ]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "change")

    def groups(self, request: HttpRequest) -> HttpResponse:
        """Equal failures as one line, the most frequent first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = GroupFilter(request.GET)
        waiting = DeadLetter.objects.waiting().select_related("channel")
        letters = form.selection.of(waiting) if form.is_valid() else DeadLetter.objects.none()
        found = dead_letters.groups(letters, limit=MOST_GROUPS + 1)
        context = {
            **self.admin_site.each_context(request),
            "title": "Dead letters by cause",
            "opts": self.opts,
            "media": self.media,
            "form": form,
            "lines": [_line(group, request) for group in found[:MOST_GROUPS]],
            "more": len(found) > MOST_GROUPS,
            "most": MOST_GROUPS,
            "is_narrowed": form.is_valid() and not form.selection.is_empty,
            "query": request.GET.urlencode(),
            "may_decide": self.has_decide_permission(request),
        }
        return TemplateResponse(request, "admin/belfry/dead_letter_groups.html", context)

    def decide_all(self, request: HttpRequest, verb: str) -> HttpResponse:
        """Look at all letters that fit the address, and replay them by a job, or discard them."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        form = GroupFilter(request.GET)
        if verb not in ("replay", "discard") or not form.is_valid() or form.selection.is_empty:
            raise Http404("Nothing was chosen.")
        newest = request.POST.get("newest", "")
        reason = request.POST.get("reason", "").strip()[:MAX_REASON_CHARS]
        letters = form.selection.of(DeadLetter.objects.waiting())
        if "confirmed" in request.POST and newest.isdecimal():
            if verb == "replay":
                return begin(request, form.selection, upto=int(newest))
            if reason:
                return self._discard_all(request, form.selection, letters.filter(pk__lte=int(newest)), reason)
        error = "Say why: the next person will want to know." if verb == "discard" and request.POST else ""
        return self.ask(request, replays.preview(letters), verb, error=error, is_job=verb == "replay")

    def ask(
        self, request: HttpRequest, looked_at: replays.Preview, verb: str, *, error: str = "", **more: Any
    ) -> HttpResponse:
        """The page that shows what a decision touches, before it is taken."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Replay dead letters" if verb == "replay" else "Discard dead letters",
            "opts": self.opts,
            "verb": verb,
            "preview": looked_at,
            "lines": [_line(group, request) for group in looked_at.groups],
            "error": error,
            "media": self.media,
            "running": ReplayJob.objects.running()[:_MOST_RUNNING],
            "newest": looked_at.newest,
            "usual_pace_per_s": replays.USUAL_PACE_PER_S,
            "max_reason_chars": MAX_REASON_CHARS,
            **more,
        }
        return TemplateResponse(request, "admin/belfry/decide.html", context)

    def _discard_all(
        self, request: HttpRequest, selection: Narrowed, letters: DeadLetterQuerySet, reason: str
    ) -> HttpResponse:
        ids = list(letters.order_by("-pk").values_list("pk", flat=True)[: MOST_LOGGED_ONE_BY_ONE + 1])
        by, now = request.user.get_username(), clock.now()
        ended = dead_letters.discard_many(letters, reason=reason, by=by, now=now)
        one_by_one = len(ids) <= MOST_LOGGED_ONE_BY_ONE
        note = f"Discarded: {reason}" if one_by_one else f"Discarded, the newest of {ended:,} ({selection}): {reason}"
        logged = DeadLetter.objects.decided().filter(pk__in=ids if one_by_one else ids[:1])
        LogEntry.objects.log_actions(request.user.pk or 0, logged, CHANGE, note)
        self.tell_discarded(request, ended)
        return HttpResponseRedirect(reverse("admin:notifications_deadletter_groups"))

    def tell_discarded(self, request: HttpRequest, count: int) -> None:
        if count:
            self.message_user(request, f"Discarded: {count:,}. They stay readable here.", messages.SUCCESS)
        else:
            self.message_user(request, NOTHING_LEFT, messages.WARNING)


def _line(group: dead_letters.Group, request: HttpRequest) -> Line:
    letter = group.newest
    asked = {name: value for name, value in request.GET.items() if value and name in GroupFilter.base_fields}
    named = {"channel": letter.channel_id, "fingerprint": letter.fingerprint}
    listed = {"channel": letter.channel_id, "fingerprint__exact": letter.fingerprint}
    return Line(
        group,
        badges.outcome_badge(letter.outcome, letter.code),
        urlencode({**asked, **named}),
        urlencode(listed),
    )

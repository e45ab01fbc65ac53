"""Replays of many: how far they are, who began them, and the button that ends them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from notifications import clock, replays
from notifications.admin import badges
from notifications.admin.page import ReadOnlyPage
from notifications.models import ReplayJob
from notifications.selection import Selection, restored


@admin.register(ReplayJob)
class ReplayJobAdmin(ReadOnlyPage[ReplayJob]):
    change_form_template = "admin/belfry/replay_job.html"
    list_display = ("job", "stands", "progress", "by", "meant", "began")
    list_filter = ("state",)
    search_fields = ("by",)
    search_help_text = "Who began it."
    ordering = ("-id",)
    empty_text = "Nobody has replayed many dead letters at once yet. Choose some on the list of dead letters."
    fields = ("stands", "left", "meant", "pace", "by", "began", "ended", "cancelled_by")
    readonly_fields = fields

    @admin.display(description="Replay", ordering="id")
    def job(self, job: ReplayJob) -> str:
        return str(job)

    @admin.display(description="State", ordering="state")
    def stands(self, job: ReplayJob) -> SafeString:
        return badges.badge(job.state)

    @admin.display(description="Progress")
    def progress(self, job: ReplayJob) -> SafeString:
        text = '<progress max="1" value="{}"></progress> {} of {}'
        return format_html(text, f"{job.share:.3f}", f"{job.behind:,}", f"{job.total:,}")

    @admin.display(description="What it replays")
    def meant(self, job: ReplayJob) -> str:
        return str(restored(job.selection))

    @admin.display(description="Pace")
    def pace(self, job: ReplayJob) -> str:
        return "as fast as possible" if job.pace_per_s is None else f"{job.pace_per_s:g} a second"

    @admin.display(description="Left")
    def left(self, job: ReplayJob) -> str:
        if not job.is_running or job.pace_per_s is None:
            return "–"
        now = clock.now()
        seconds = (job.total - job.behind) / job.pace_per_s
        return f"{job.total - job.behind:,}, about {timesince(now, now + timedelta(seconds=max(60.0, seconds)))}"

    @admin.display(description="Began (UTC)", ordering="created_at")
    def began(self, job: ReplayJob) -> SafeString:
        return badges.moment(job.created_at)

    @admin.display(description="Ended (UTC)")
    def ended(self, job: ReplayJob) -> SafeString:
        return badges.moment(job.finished_at)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may_cancel = {"may_cancel": self.may(request, "change")}
        return super().change_view(request, object_id, form_url, {**may_cancel, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        return [self.button("cancel", self.cancel), *super().get_urls()]

    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End it where it stands."""
        job = self.one(request, object_id)
        if not self.may(request, "change"):
            self.message_user(request, "You may not end replays.", messages.ERROR)
        elif replays.cancel(job, by=request.user.get_username(), now=clock.now()):
            self.log_change(request, job, f"Cancelled after {job.behind} of {job.total}.")
            self.message_user(request, "It is ended; what it has replayed stays so.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:notifications_replayjob_change", args=(job.pk,)))


def begin(request: HttpRequest, selection: Selection, *, upto: int) -> HttpResponse:
    """Start a replay as the request asks for it, and go where one can watch it. Asked twice, it is the same one."""
    by, now = request.user.get_username(), clock.now()
    twin = ReplayJob.objects.running_of(selection.stored(), upto)
    if twin is not None:
        messages.warning(request, "This replay is running already.")
        return HttpResponseRedirect(reverse("admin:notifications_replayjob_change", args=(twin.pk,)))
    job = replays.start(selection, by=by, pace_per_s=_pace(request), now=now, upto=upto)
    LogEntry.objects.log_actions(request.user.pk or 0, [job], ADDITION, f"Began: {selection}.", single_object=True)
    return HttpResponseRedirect(reverse("admin:notifications_replayjob_change", args=(job.pk,)))


def _pace(request: HttpRequest) -> float | None:
    """Letters a second, as they were asked for; nothing means as fast as possible."""
    text = request.POST.get("pace", f"{replays.USUAL_PACE_PER_S}").strip()
    if not text:
        return None
    try:
        pace = float(text)
    except ValueError:
        return replays.USUAL_PACE_PER_S
    return min(max(pace, 0.1), 10_000.0) if math.isfinite(pace) else replays.USUAL_PACE_PER_S

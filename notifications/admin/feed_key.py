"""Feed keys: which applications sign tokens for their users. Made on the command line, ended here."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from channels_app.models import FeedKey
from notifications import clock
from notifications.admin import badges
from notifications.admin.page import ReadOnlyPage, seen

_REVOKING = (
    "Tokens that were signed with a revoked key are refused, within five seconds, and its secret is forgotten. "
    "This cannot be undone."
)


@admin.register(FeedKey)
class FeedKeyAdmin(ReadOnlyPage[FeedKey]):
    list_display = ("name", "kid", "use", "issued")
    search_fields = ("name", "kid")
    ordering = ("-created_at",)
    actions = ("revoke",)
    empty_text = "No application signs tokens for feeds. ./belfry feedkey create makes a key and shows its secret once."
    fields = ("name", "kid", "use", "issued", "revoked")
    readonly_fields = ("use", "issued", "revoked")

    @admin.display(description="Use")
    def use(self, key: FeedKey) -> SafeString:
        return badges.badge("revoked" if key.revoked_at else "active")

    @admin.display(description="Issued (UTC)", ordering="created_at")
    def issued(self, key: FeedKey) -> SafeString:
        return badges.moment(key.created_at)

    @admin.display(description="Revoked (UTC)")
    def revoked(self, key: FeedKey) -> SafeString:
        return badges.moment(key.revoked_at)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "change")

    @admin.action(description="Revoke: end them for ever…", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[FeedKey]) -> HttpResponse:
        active, back_url = seen(request, queryset).filter(revoked_at__isnull=True), request.get_full_path()
        if answer := self.make_sure(request, active, verb="Revoke", means=_REVOKING, back_url=back_url):
            return answer
        now, ended = clock.now(), list(active)
        for key in ended:
            key.revoke(now)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"Revoked: {len(ended)}.", messages.SUCCESS)
        return HttpResponseRedirect(back_url)

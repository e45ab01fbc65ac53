"""API keys: issued, shown once, revoked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.safestring import SafeString

from notifications import clock
from notifications.admin import badges
from notifications.admin.page import Page, seen
from notifications.models import ApiKey

_REVOKING = (
    "Whoever shows a revoked key is refused from then on, within five seconds. What was sent with it stays. "
    "This cannot be undone."
)


class UseFilter(admin.SimpleListFilter):
    """Those in use, unless one asks for the revoked ones."""

    title, parameter_name = "use", "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("revoked", "revoked"), ("all", "all")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": "active"} if choice["display"] == "All" else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        if self.value() == "all":
            return queryset
        return queryset.filter(revoked_at__isnull=self.value() != "revoked")


@admin.register(ApiKey)
class ApiKeyAdmin(Page[ApiKey]):
    change_form_template = "admin/belfry/api_key.html"
    list_display = ("name", "beginning", "role_shown", "speaks_for", "use", "issued")
    list_filter = (UseFilter, "role")
    list_select_related = ("streamer",)
    search_fields = ("name", "shown", "streamer__key", "streamer__name")
    autocomplete_fields = ("streamer",)
    ordering = ("-created_at",)
    actions = ("revoke",)
    empty_text = "No key fits. A program needs one to send notifications: add one; its text is shown once."

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        asked = ("name", "role", "streamer")
        return ("name", "beginning", "role", "streamer", "use", "issued", "revoked") if obj else asked

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """A key that was handed out does not change what it may do."""
        return ("beginning", "role", "streamer", "use", "issued", "revoked") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A revoked key stays: what it sent refers to it."""
        return False

    @admin.display(description="Begins with")
    def beginning(self, key: ApiKey) -> str:
        return f"{key.shown}…"

    @admin.display(description="Role", ordering="role")
    def role_shown(self, key: ApiKey) -> str:
        return key.role

    @admin.display(description="Speaks for", ordering="streamer__key")
    def speaks_for(self, key: ApiKey) -> str:
        return str(key.streamer) if key.streamer else "everyone"

    @admin.display(description="Use")
    def use(self, key: ApiKey) -> SafeString:
        return badges.badge("revoked" if key.revoked_at else "active")

    @admin.display(description="Issued (UTC)", ordering="created_at")
    def issued(self, key: ApiKey) -> SafeString:
        return badges.moment(key.created_at)

    @admin.display(description="Revoked (UTC)")
    def revoked(self, key: ApiKey) -> SafeString:
        return badges.moment(key.revoked_at)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: Any) -> None:
        if change:
            return super().save_model(request, obj, form, change)
        issued, text = ApiKey.objects.issue(obj.name, role=obj.role, streamer=obj.streamer)
        vars(obj).update(vars(issued), text=text)
        return None

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Answer with the key itself and not by a redirect: so its text is in no cookie, session or address."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Copy the key now",
            "opts": self.opts,
            "media": self.media,
            "key": obj,
            "text": vars(obj)["text"],
        }
        answer = TemplateResponse(request, "admin/belfry/issued_key.html", context)
        add_never_cache_headers(answer)
        return answer

    def get_urls(self) -> list[URLPattern]:
        return [self.button("revoke", self.revoke_one), *super().get_urls()]

    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.one(request, object_id)
        page = reverse("admin:notifications_apikey_change", args=(key.pk,))
        if not self.has_change_permission(request, key):
            self.message_user(request, "You may not revoke keys.", messages.ERROR)
            return HttpResponseRedirect(page)
        return self._revoke(request, ApiKey.objects.filter(pk=key.pk), page)

    @admin.action(description="Revoke: end them for ever…", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse:
        return self._revoke(request, seen(request, queryset), request.get_full_path())

    def _revoke(self, request: HttpRequest, keys: QuerySet[ApiKey], back_url: str) -> HttpResponse:
        active = keys.filter(revoked_at__isnull=True)
        if answer := self.make_sure(request, active, verb="Revoke", means=_REVOKING, back_url=back_url):
            return answer
        now, ended = clock.now(), list(active)
        for key in ended:
            key.revoke(now)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"Revoked: {len(ended)}.", messages.SUCCESS)
        return HttpResponseRedirect(back_url)

"""What all rooms have in common: bounded lists, our style sheet, words for an empty list, buttons that post."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from notifications.admin.generic import GenericAdmin
from notifications.admin.paginator import BoundedPaginator

M = TypeVar("M", bound=models.Model)

#: So many are named before something is done to them for ever; the others are a number.
_MOST_NAMED = 10


class RowsWithMore(ChangeList):
    """A list whose rows are completed by a few queries a page, where joins would count the whole table."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.get_filters_params():
            # All of them are shown: Django would offer to show all.
            self.full_result_count = self.result_count
        self.result_list = list(self.result_list)
        room: Page[Any] = self.model_admin  # type: ignore[assignment]
        room.complete(self.result_list)


class Page(GenericAdmin[M]):
    """A room where things are kept, added and changed."""

    change_list_template = "admin/belfry/change_list.html"
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    #: What an empty list says, and what to do about it.
    empty_text = ""

    class Media:
        css = {"all": ("notifications/admin.css",)}

    def complete(self, rows: Sequence[M]) -> None:
        """Look up what the rows of one page show beside their own columns."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RowsWithMore

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without Django's bulk deletion: what may go, goes one by one and with its own words."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        plural = str(self.opts.verbose_name_plural)
        context = {"title": plural[:1].upper() + plural[1:], "empty_text": self.empty_text, **(extra_context or {})}
        return super().changelist_view(request, context)

    def one(self, request: HttpRequest, object_id: str) -> M:
        """The row of an address. Raises `Http404`."""
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404(f"No {self.opts.verbose_name} has this id.")
        return found

    def button(self, word: str, view: Callable[[HttpRequest, str], HttpResponse]) -> URLPattern:
        """The address `<id>/<word>/` of a button, named `<app>_<model>_<word>`. It answers to POST alone."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_{word}"
        return path(f"<path:object_id>/{word}/", self.admin_site.admin_view(require_POST(view)), name=name)

    def called(self, row: M) -> str:
        """What a row is called where no column shows it."""
        return str(row)

    def make_sure(
        self, request: HttpRequest, rows: QuerySet[M], *, verb: str, means: str, back_url: str
    ) -> HttpResponse | None:
        """The page that asks before a button or an action does to `rows` what nobody can undo.

        None where it was answered. Without any rows it leads back and says that nothing is left to be done.
        """
        count = rows.count()
        if not count:
            self.message_user(request, f"Nothing was changed: nothing is left to {verb.lower()}.", messages.WARNING)
            return HttpResponseRedirect(back_url)
        if "confirmed" in request.POST:
            return None
        names = [self.called(row) for row in rows[:_MOST_NAMED]]
        what = names[0] if count == 1 else f"{count:,} {self.opts.verbose_name_plural}"
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb} {what}?",
            "opts": self.opts,
            "media": self.media,
            "names": names,
            "count": count,
            "unnamed": count - len(names),
            "verb": verb,
            "means": means,
            "carried": _carried(request, rows),
            "back_url": back_url,
        }
        return TemplateResponse(request, "admin/belfry/sure.html", context)


def _carried(request: HttpRequest, rows: QuerySet[Any]) -> list[tuple[str, Any]]:
    """Fields that make the answer the same action on the same rows. None for a button: its address says it all."""
    if "action" not in request.POST:
        return []
    action, chosen = ("action", request.POST["action"]), request.POST.getlist(ACTION_CHECKBOX_NAME)
    if request.POST.get("select_across") != "1":
        return [action, *((ACTION_CHECKBOX_NAME, pk) for pk in chosen)]
    newest = rows.order_by("-pk").values_list("pk", flat=True).first()
    # With everything selected, Django needs one id to see that an action was meant.
    return [action, (ACTION_CHECKBOX_NAME, newest), ("select_across", "1"), ("newest", newest)]


def seen(request: HttpRequest, rows: QuerySet[M]) -> QuerySet[M]:
    """Without what came after an action asked about everything: nobody has agreed to that."""
    newest = request.POST.get("newest")
    return rows.filter(pk__lte=newest) if newest else rows


class ReadOnlyPage(Page[M]):
    """A room of records: nobody adds, changes or deletes them by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def may(self, request: HttpRequest, verb: str) -> bool:
        """Whether the user holds Django's permission, which these rooms show to nobody as a form."""
        return request.user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}")

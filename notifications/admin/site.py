"""What stands above every page, and the front page with its status strip."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

#: What operators look for first, stands first; what is not named here follows in Django's order.
_ORDER = (
    "Notification",
    "Delivery",
    "Attempt",
    "DeadLetter",
    "ReplayJob",
    "Streamer",
    "Follow",
    "Policy",
    "ApiKey",
    "Channel",
    "InboxState",
    "InboxItem",
    "Device",
    "Broadcast",
    "FeedKey",
)
_APPS = ("notifications", "channels_app", "auth", "admin")

_by_name = admin.site.get_app_list


def in_order(request: HttpRequest, app_label: str | None = None) -> list[Any]:
    """The rooms as the front page and the side bar list them."""
    apps: list[Any] = _by_name(request, app_label)
    for app in apps:
        app["models"].sort(key=lambda model: _place(_ORDER, model["object_name"]))
    return sorted(apps, key=lambda app: _place(_APPS, app["app_label"]))


def _place(order: tuple[str, ...], name: str) -> int:
    return order.index(name) if name in order else len(order)


# A site class of our own would have to be imported before Django's applications are ready.
admin.site.get_app_list = in_order  # type: ignore[method-assign]

admin.site.site_header = "Belfry"
admin.site.site_title = "Belfry"
admin.site.index_title = "How things stand"
admin.site.index_template = "admin/belfry/index.html"
# The root of the site leads here again.
admin.site.site_url = None
admin.site.empty_value_display = "–"

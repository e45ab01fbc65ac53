"""What the admin's templates ask for."""

from __future__ import annotations

from typing import Any

from django import template

from notifications.admin import badges, status
from notifications.admin.wording import title_of
from notifications.models import DeadLetter

register = template.Library()

register.filter("badge", badges.badge)
register.filter("moment", badges.moment)


@register.filter
def about(letter: DeadLetter) -> str:
    """What a dead letter is about. Reads the notification and its streamer: select them along."""
    return title_of(letter.delivery.notification)


@register.inclusion_tag("admin/belfry/status_strip.html")
def status_strip() -> dict[str, Any]:
    """Four numbers with links, and the first steps in a new house."""
    return {"figures": status.figures(), "steps": status.first_steps()}

"""What the admin's templates ask for."""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings
from django.template import Context
from django.urls import reverse

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


@register.inclusion_tag("admin/belfry/status_strip.html", takes_context=True)
def status_strip(context: Context) -> dict[str, Any]:
    """Four numbers with links, the first steps in a new house, and where to try things out."""
    demo = reverse("demo") if settings.BELFRY_DEMO and context["user"].is_superuser else ""
    return {"figures": status.figures(), "steps": status.first_steps(), "demo": demo}

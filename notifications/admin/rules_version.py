"""The number by which workers see that rules have changed: to look at when one asks why they have not."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from notifications.admin.page import ReadOnlyPage
from notifications.models import RulesVersion


@admin.register(RulesVersion)
class RulesVersionAdmin(ReadOnlyPage[RulesVersion]):
    def has_module_permission(self, request: HttpRequest) -> bool:
        """Reached by its address; on the front page one number would only be in the way."""
        return False

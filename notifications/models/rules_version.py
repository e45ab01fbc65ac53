"""A number that grows with every change of the rules: of policies, of channels, of streamers' keys.

Database triggers raise it (migration 0004), whoever writes: API, admin, import, a shell. Workers
keep the rules in memory and read this number to learn whether they are still true.
"""

from __future__ import annotations

from django.db import models
from django.db.models import BigIntegerField, Sum
from django.db.models.functions import Cast


class RulesVersion(models.Model):
    """A few rows, whose sum is the number: transactions that change rules at once raise one each."""

    number = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def current(cls) -> int | None:
        """The number in force, or None when it is not known: then the rules must be read again."""
        number: int | None = cls.objects.aggregate(now=Cast(Sum("number"), BigIntegerField()))["now"]
        return number

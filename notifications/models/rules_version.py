"""A number that grows with every change of streamers, channels or policies.

Database triggers raise it (migration 0002), whoever writes: API, admin, import, a shell. Workers
keep the rules in memory and read this one row to learn whether they are still true.
"""

from __future__ import annotations

from django.db import models


class RulesVersion(models.Model):
    """One row, id 1."""

    number = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def current(cls) -> int | None:
        """The number in force, or None when it is not known: then the rules must be read again."""
        number: int | None = cls.objects.values_list("number", flat=True).filter(pk=1).first()
        return number

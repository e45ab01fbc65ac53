"""Rows with a column `secrets` that is sealed, and how they move to a new key."""

from __future__ import annotations

from typing import Self, TypeVar

from django.db import models, transaction

from channels_app.secrets import default_box

M = TypeVar("M", bound=models.Model)


class SealedQuerySet(models.QuerySet[M]):
    def sealed(self) -> Self:
        """Those that have secrets."""
        return self.exclude(secrets="")

    def reseal(self, pk: int, *, dry_run: bool = False) -> bool:
        """Seal a row's secrets with the current key; nothing else of it changes. False where they are already.

        Raises `secrets.SecretUnreadable` and `secrets.NoSecretKeys`.
        """
        with transaction.atomic():
            stored: str = self.select_for_update(no_key=True).values_list("secrets", flat=True).get(pk=pk)
            sealed = default_box().rotate(stored) if stored else ""
            if sealed == stored:
                return False
            return dry_run or bool(self.filter(pk=pk).update(secrets=sealed))

"""`./belfry rotatesecrets`: seal the secrets of all channels and feed keys with the first key of the ring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_app.models import Channel, FeedKey
from channels_app.secrets import NoSecretKeys, SecretUnreadable

#: A line of progress after so many rows.
_EVERY = 100


class Command(BaseCommand):
    help = (
        "Seal the secrets of all channels and feed keys with the first key of BELFRY_CHANNEL_KEYS, so that the others "
        "can go. Each by itself: interrupted, it goes on when it is run again. Running it twice changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say how many are sealed with another key.")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run: bool = options["dry_run"]
        done = "would be sealed" if dry_run else "were sealed"
        unreadable: list[str] = []
        for rows, name, word in ((Channel.objects, "key", "channels"), (FeedKey.objects, "kid", "feed keys")):
            sealed = list(rows.sealed().values_list("pk", name))
            moved = self._moved(rows, sealed, unreadable, dry_run=dry_run)
            self.stdout.write(f"{moved} of {len(sealed)} {word} with secrets {done} with the first key.")
        if unreadable:
            raise CommandError("These could not be opened, and stay as they are:\n" + "\n".join(unreadable))

    def _moved(self, rows: Any, sealed: Sequence[tuple[int, str]], unreadable: list[str], *, dry_run: bool) -> int:
        """How many were sealed anew. The names of those that cannot be opened are added to `unreadable`."""
        moved = 0
        for place, (pk, name) in enumerate(sealed, 1):
            try:
                moved += rows.reseal(pk, dry_run=dry_run)
            except SecretUnreadable as error:
                unreadable.append(f"{name}: {error}")
            except NoSecretKeys as error:
                raise CommandError(str(error)) from None
            if place % _EVERY == 0:
                self.stdout.write(f"{place} of {len(sealed)}")
        return moved

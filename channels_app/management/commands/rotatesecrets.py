"""`./belfry rotatesecrets`: seal the secrets of all channels with the first key of the ring."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_app.models import Channel
from channels_app.secrets import NoSecretKeys, SecretUnreadable

#: A line of progress after so many channels.
_EVERY = 100


class Command(BaseCommand):
    help = (
        "Seal the secrets of all channels with the first key of BELFRY_CHANNEL_KEYS, so that the others can go. Each "
        "channel by itself: interrupted, it goes on when it is run again. Running it twice changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say how many are sealed with another key.")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run: bool = options["dry_run"]
        channels = list(Channel.objects.sealed().values_list("pk", "key"))
        moved, unreadable = 0, []
        for place, (pk, key) in enumerate(channels, 1):
            try:
                moved += Channel.objects.reseal(pk, dry_run=dry_run)
            except SecretUnreadable as error:
                unreadable.append(f"{key}: {error}")
            except NoSecretKeys as error:
                raise CommandError(str(error)) from None
            if place % _EVERY == 0:
                self.stdout.write(f"{place} of {len(channels)}")
        done = "would be sealed" if dry_run else "were sealed"
        self.stdout.write(f"{moved} of {len(channels)} channels with secrets {done} with the first key.")
        if unreadable:
            raise CommandError("These could not be opened, and stay as they are:\n" + "\n".join(unreadable))

"""`./belfry import FILE`: take over the notifications block of a config file."""  # noqa: N999  It is what one types.

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from notifications import clock
from notifications.import_block import Faulty
from notifications.import_file import Change, Imported, Target, import_file


class Command(BaseCommand):
    help = (
        "Take over the notifications block of a config file (JSON, or TOML by its name): its channels, and its "
        "rules as the policy for everyone, a platform or a streamer. Running it twice changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument("--streamer", metavar="KEY", default="", help="For this streamer; the channels are its own.")
        whose.add_argument("--platform", metavar="NAME", default="", help="For the streamers of this platform.")
        parser.add_argument("--create", action="store_true", help="Make the streamer if it is not there.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would change.")
        parser.add_argument("--json", action="store_true", help="Answer in JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        target = Target(platform=options["platform"], streamer_key=options["streamer"], create=options["create"])
        try:
            done = import_file(options["file"], target, now=clock.now(), dry_run=options["dry_run"])
        except Faulty as error:
            raise CommandError(f"Nothing was imported.\n{error}") from None
        if options["json"]:
            self.stdout.write(json.dumps(_shown(done, dry_run=options["dry_run"])))
        else:
            self._tell(done, dry_run=options["dry_run"])

    def _tell(self, done: Imported, *, dry_run: bool) -> None:
        for change in done.changes:
            self.stdout.write(f"{change.action:<10} {change.what} {change.key}")
            for line in _lines(change):
                self.stdout.write(f"             {line}")
        for note in done.notes:
            self.stdout.write(f"note       {note}")
        if not done.changed:
            self.stdout.write("Everything is as the file says already.")
        elif dry_run:
            self.stdout.write("Nothing was changed: this was a dry run.")


def _lines(change: Change) -> list[str]:
    if change.action == "create":
        return [f"{name}: {_text(new)}" for name, (_, new) in change.fields.items() if new not in (None, "", [], {})]
    return [f"{name}: {_text(old)} → {_text(new)}" for name, (old, new) in change.fields.items()]


def _text(value: object) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


def _shown(done: Imported, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "changed": done.changed,
        "changes": [
            {
                "what": change.what,
                "key": change.key,
                "action": change.action,
                "fields": {name: {"before": old, "after": new} for name, (old, new) in change.fields.items()},
            }
            for change in done.changes
        ],
        "notes": done.notes,
    }

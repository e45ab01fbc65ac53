"""`./belfry feeds erase | newepoch`: forgetting a recipient, and what to do after a backup was restored."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_app.feed.erase import begin_new_epoch
from channels_app.feed.recipient import BadRecipient, spelled
from notifications.erasure import erase


class Command(BaseCommand):
    help = "Erase a recipient's feed, or make every cursor void after a backup was restored."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="erase | newepoch")
        erasing = actions.add_parser("erase", help="Delete a recipient's items, devices and follows. For ever.")
        erasing.add_argument("recipient", help="Their key.")
        erasing.add_argument("--yes", action="store_true", help="Do not ask.")
        restored = actions.add_parser("newepoch", help="After a restore: let all clients load their feeds anew.")
        for action in (erasing, restored):
            action.add_argument("--json", action="store_true", help="Answer in JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "newepoch":
            self._say(options, {"feeds": begin_new_epoch()}, "Feeds that begin anew: {feeds}.")
            return
        recipient = _recipient(options["recipient"])
        if not options["yes"] and not _confirmed(f"Erase {recipient!r} for ever? Type yes: "):
            raise CommandError("Nothing was erased. Where nobody can answer, say --yes.")
        erased = erase(recipient, by="the command line")
        said = {"items": erased.items, "follows": erased.follows}
        self._say(options, said, "Erased: {items} items, {follows} follows.")

    def _say(self, options: dict[str, Any], said: dict[str, int], text: str) -> None:
        self.stdout.write(json.dumps(said) if options["json"] else text.format(**said))


def _confirmed(question: str) -> bool:
    """Whether somebody is there, and says yes."""
    try:
        return input(question).strip() == "yes"
    except EOFError:
        return False


def _recipient(text: str) -> str:
    try:
        return spelled(text)
    except BadRecipient as error:
        raise CommandError(str(error)) from None

"""`./belfry apikey create | list | revoke`: the keys of programs. A key is shown once, when it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from notifications import clock
from notifications.models import ApiKey, Streamer


class Command(BaseCommand):
    help = "Make, list and revoke API keys."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="create | list | revoke")
        create = actions.add_parser("create", help="Make a key. It is shown once.")
        create.add_argument("--name", required=True, help="Whose key it is.")
        create.add_argument("--role", choices=ApiKey.Role.values, default=ApiKey.Role.PRODUCER.value)
        create.add_argument("--streamer", metavar="KEY", help="The key speaks for this streamer alone.")
        listing = actions.add_parser("list", help="Show what keys there are; not their text, which nobody has.")
        revoke = actions.add_parser("revoke", help="End a key for ever; it is refused within five seconds.")
        revoke.add_argument("key", help="Its beginning as `list` shows it, or its id.")
        for action in (create, listing, revoke):
            action.add_argument("--json", action="store_true", help="Answer in JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        actions: dict[str, Callable[..., object]] = {"create": self._create, "list": self._list, "revoke": self._revoke}
        actions[options["action"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        streamer = _streamer(options["streamer"]) if options["streamer"] else None
        key, text = ApiKey.objects.issue(options["name"], role=options["role"], streamer=streamer)
        if options["json"]:
            self._say_json({"key": text, **_shown(key)})
        else:
            self.stdout.write(text)
            self.stderr.write(f"The key of {key.name} ({key.role}). Keep it: it cannot be shown again.")

    def _list(self, options: dict[str, Any]) -> None:
        keys = [_shown(key) for key in ApiKey.objects.select_related("streamer")]
        if options["json"]:
            self._say_json(keys)
            return
        for key in keys:
            state = f"revoked {key['revoked_at']}" if key["revoked_at"] else f"since {key['created_at']}"
            bound = f" for {key['streamer']}" if key["streamer"] else ""
            self.stdout.write(f"{key['id']:>4}  {key['shown']}…  {key['role']}{bound}  {key['name']}, {state}")

    def _revoke(self, options: dict[str, Any]) -> None:
        key = _named(options["key"])
        if key.revoked_at is None:
            key.revoke(clock.now())
        if options["json"]:
            self._say_json(_shown(key))
        else:
            self.stdout.write(f"Revoked: {key}.")

    def _say_json(self, value: object) -> None:
        self.stdout.write(json.dumps(value))


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "role": key.role,
        "streamer": key.streamer.key if key.streamer else None,
        "shown": key.shown,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }


def _streamer(key: str) -> Streamer:
    streamer = Streamer.objects.filter(key=key).first()
    if streamer is None:
        raise CommandError(f"No streamer has the key {key!r}.")
    return streamer


def _named(text: str) -> ApiKey:
    keys = ApiKey.objects.select_related("streamer")
    found = list(keys.filter(pk=int(text)) if text.isdecimal() else keys.filter(shown=text.rstrip("…")))
    if len(found) != 1:
        raise CommandError(f"{len(found) or 'No'} keys are named {text!r}. `apikey list` shows them.")
    return found[0]

"""`./belfry apikey create | list | revoke`: the keys of programs. A key is shown once, when it is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from notifications.management.key_command import KeyCommand, Options, a_name, add_json, times
from notifications.models import ApiKey, Streamer


class Command(KeyCommand):
    help = "Make, list and revoke API keys."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="create | list | revoke")
        create = actions.add_parser("create", help="Make a key. It is shown once.")
        create.add_argument("--name", required=True, type=a_name, help="Whose key it is.")
        create.add_argument("--role", choices=ApiKey.Role.values, default=ApiKey.Role.PRODUCER.value)
        create.add_argument("--streamer", metavar="KEY", help="The key speaks for this streamer alone.")
        listing = actions.add_parser("list", help="Show what keys there are; not their text, which nobody has.")
        revoke = actions.add_parser("revoke", help="End a key for ever; it is refused within five seconds.")
        revoke.add_argument("key", help="Its beginning as `list` shows it, or its id.")
        add_json(create, listing, revoke)

    def create(self, options: Options) -> None:
        streamer = _streamer(options["streamer"]) if options["streamer"] else None
        key, text = ApiKey.objects.issue(options["name"], role=options["role"], streamer=streamer)
        once = f"The key of {key.name} ({key.role}). Keep it: it cannot be shown again."
        self.answer(options, {"key": text, **self.shown(key)}, text, beside=once)

    def keys(self) -> Iterable[ApiKey]:
        return ApiKey.objects.select_related("streamer")

    def named(self, text: str) -> ApiKey:
        keys = ApiKey.objects.select_related("streamer")
        found = keys.filter(pk=int(text)) if text.isdecimal() else keys.filter(shown=text.rstrip("…"))
        if len(found) != 1:
            raise CommandError(f"{len(found) or 'No'} keys are named {text!r}. `apikey list` shows them.")
        return found[0]

    def shown(self, key: ApiKey) -> dict[str, Any]:
        return {
            "id": key.pk,
            "name": key.name,
            "role": key.role,
            "streamer": key.streamer.key if key.streamer else None,
            "shown": key.shown,
            **times(key),
        }

    def line(self, key: dict[str, Any]) -> str:
        bound = f" for {key['streamer']}" if key["streamer"] else ""
        return f"{key['id']:>4}  {key['shown']}…  {key['role']}{bound}  {key['name']}"


def _streamer(key: str) -> Streamer:
    streamer = Streamer.objects.filter(key=key).first()
    if streamer is None:
        raise CommandError(f"No streamer has the key {key!r}.")
    return streamer

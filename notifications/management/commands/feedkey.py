"""`./belfry feedkey create | list | revoke | token`: the secrets with which applications sign for their users."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_app import feed_tokens
from channels_app.feed.recipient import BadRecipient, spelled
from channels_app.feed_keys import opened
from channels_app.models import FeedKey
from channels_app.secrets import NoSecretKeys, SecretUnreadable
from notifications import clock

_LONGEST_MINUTES = int(feed_tokens.LONGEST_S // 60)


class Command(BaseCommand):
    help = "Make, list and revoke feed keys; sign a token to try a feed with."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="create | list | revoke | token")
        create = actions.add_parser("create", help="Make a key. Its secret is shown once.")
        create.add_argument("--name", required=True, help="Which application it is for.")
        listing = actions.add_parser("list", help="Show what keys there are, without their secrets.")
        revoke = actions.add_parser("revoke", help="End a key for ever; its tokens are refused within five seconds.")
        revoke.add_argument("kid", help="Its id as `list` shows it.")
        token = actions.add_parser("token", help="Sign a token, as an application would.")
        token.add_argument("recipient", help="Whose feed it opens.")
        token.add_argument("--kid", help="The key that signs. Without it, the newest.")
        token.add_argument("--minutes", type=int, default=60, help="How long it counts, 1440 at most.")
        for action in (create, listing, revoke, token):
            action.add_argument("--json", action="store_true", help="Answer in JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        actions: dict[str, Callable[..., object]] = {
            "create": self._create,
            "list": self._list,
            "revoke": self._revoke,
            "token": self._token,
        }
        try:
            actions[options["action"]](options)
        except (NoSecretKeys, SecretUnreadable) as error:
            raise CommandError(str(error)) from None

    def _create(self, options: dict[str, Any]) -> None:
        key, secret = FeedKey.objects.issue(options["name"])
        if options["json"]:
            self._say_json({**_shown(key), "secret": secret})
        else:
            self.stdout.write(f"{key.kid} {secret}")
            self.stderr.write(f"Id and secret of {key.name}. Keep the secret: it cannot be shown again.")

    def _list(self, options: dict[str, Any]) -> None:
        keys = [_shown(key) for key in FeedKey.objects.all()]
        if options["json"]:
            self._say_json(keys)
            return
        for key in keys:
            state = f"revoked {key['revoked_at']}" if key["revoked_at"] else f"since {key['created_at']}"
            self.stdout.write(f"{key['kid']}  {key['name']}, {state}")

    def _revoke(self, options: dict[str, Any]) -> None:
        key = _named(options["kid"])
        if key.revoked_at is None:
            key.revoke(clock.now())
        if options["json"]:
            self._say_json(_shown(key))
        else:
            self.stdout.write(f"Revoked: {key}.")

    def _token(self, options: dict[str, Any]) -> None:
        if not 1 <= options["minutes"] <= _LONGEST_MINUTES:
            raise CommandError(f"A token counts for 1 to {_LONGEST_MINUTES} minutes.")
        key = _named(options["kid"]) if options["kid"] else FeedKey.objects.filter(revoked_at=None).first()
        if key is None or key.revoked_at is not None:
            raise CommandError("There is no key to sign with. `feedkey create` makes one.")
        text = feed_tokens.sign(
            _recipient(options["recipient"]),
            kid=key.kid,
            secret=opened(key.secrets),
            now=clock.now(),
            lasts=timedelta(minutes=options["minutes"]),
        )
        if options["json"]:
            self._say_json({"token": text, "kid": key.kid})
        else:
            self.stdout.write(text)

    def _say_json(self, value: object) -> None:
        self.stdout.write(json.dumps(value))


def _shown(key: FeedKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "name": key.name,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }


def _named(kid: str) -> FeedKey:
    key = FeedKey.objects.filter(kid=kid).first()
    if key is None:
        raise CommandError(f"No key has the id {kid!r}. `feedkey list` shows them.")
    return key


def _recipient(text: str) -> str:
    try:
        return spelled(text)
    except BadRecipient as error:
        raise CommandError(str(error)) from None

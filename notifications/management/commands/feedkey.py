"""`./belfry feedkey create | list | revoke | token`: the secrets with which applications sign for their users."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from channels_app import feed_tokens
from channels_app.feed.recipient import BadRecipient, spelled
from channels_app.feed_keys import opened
from channels_app.models import FeedKey
from channels_app.secrets import NoSecretKeys, SecretUnreadable
from notifications import clock
from notifications.management.key_command import KeyCommand, Options, a_name, add_json, times

_LONGEST_MINUTES = int(feed_tokens.LONGEST_S // 60)


class Command(KeyCommand):
    help = "Make, list and revoke feed keys; sign a token to try a feed with."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="create | list | revoke | token")
        create = actions.add_parser("create", help="Make a key. Its secret is shown once.")
        create.add_argument("--name", required=True, type=a_name, help="Which application it is for.")
        listing = actions.add_parser("list", help="Show what keys there are, without their secrets.")
        revoke = actions.add_parser("revoke", help="End a key for ever; its tokens are refused within five seconds.")
        revoke.add_argument("key", metavar="kid", help="Its id as `list` shows it.")
        token = actions.add_parser("token", help="Sign a token, as an application would.")
        token.add_argument("recipient", help="Whose feed it opens.")
        token.add_argument("--kid", help="The key that signs. Without it, the newest.")
        token.add_argument("--minutes", type=int, default=60, help="How long it counts, 1440 at most.")
        add_json(create, listing, revoke, token)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            super().handle(*args, **options)
        except (NoSecretKeys, SecretUnreadable) as error:
            raise CommandError(str(error)) from None

    def create(self, options: Options) -> None:
        key, secret = FeedKey.objects.issue(options["name"])
        once = f"Id and secret of {key.name}. Keep the secret: it cannot be shown again."
        self.answer(options, {**self.shown(key), "secret": secret}, f"{key.kid} {secret}", beside=once)

    def token(self, options: Options) -> None:
        if not 1 <= options["minutes"] <= _LONGEST_MINUTES:
            raise CommandError(f"A token counts for 1 to {_LONGEST_MINUTES} minutes.")
        key = self.named(options["kid"]) if options["kid"] else FeedKey.objects.filter(revoked_at=None).first()
        if key is None or key.revoked_at is not None:
            raise CommandError("There is no key to sign with. `feedkey create` makes one.")
        text = feed_tokens.sign(
            _recipient(options["recipient"]),
            kid=key.kid,
            secret=opened(key.secrets),
            now=clock.now(),
            lasts=timedelta(minutes=options["minutes"]),
        )
        self.answer(options, {"token": text, "kid": key.kid}, text)

    def keys(self) -> Iterable[FeedKey]:
        return FeedKey.objects.all()

    def named(self, text: str) -> FeedKey:
        key = FeedKey.objects.filter(kid=text).first()
        if key is None:
            raise CommandError(f"No key has the id {text!r}. `feedkey list` shows them.")
        return key

    def shown(self, key: FeedKey) -> dict[str, Any]:
        return {"kid": key.kid, "name": key.name, **times(key)}

    def line(self, key: dict[str, Any]) -> str:
        return f"{key['kid']}  {key['name']}"


def _recipient(text: str) -> str:
    try:
        return spelled(text)
    except BadRecipient as error:
        raise CommandError(str(error)) from None

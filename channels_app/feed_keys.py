"""Feed keys: the secrets with which applications sign tokens for the recipients among their users."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import models

from channels_app.sealed import SealedQuerySet
from channels_app.secrets import default_box

#: What ids and secrets begin with, so that a leaked secret is recognised by scanners and people.
KID_PREFIX, SECRET_PREFIX = "fk_", "bfs_"


class FeedKeyQuerySet(SealedQuerySet["FeedKey"]):
    def issue(self, name: str) -> tuple[FeedKey, str]:
        """A new key and its secret, which is not shown again. Raises `secrets.NoSecretKeys`."""
        secret = SECRET_PREFIX + secrets.token_urlsafe(32)
        kid = KID_PREFIX + secrets.token_hex(6)
        return self.create(kid=kid, name=name, secrets=default_box().seal({"secret": secret})), secret

    def secret_of(self, kid: str) -> str | None:
        """The secret of a key that counts, or None. Raises `secrets.SecretUnreadable` and `secrets.NoSecretKeys`."""
        sealed = self.filter(kid=kid, revoked_at__isnull=True).values_list("secrets", flat=True).first()
        return opened(sealed) if sealed else None


class FeedKey(models.Model):
    """An application that may speak for recipients: for all of them, so that only those who answer for them get one."""

    #: Stands in the header of every token.
    kid = models.CharField("key id", max_length=20, unique=True, editable=False)
    name = models.CharField(max_length=100, help_text="Whose key it is.")
    #: To check a signature the secret itself is needed, not a digest of it.
    secrets = models.TextField(blank=True, default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = FeedKeyQuerySet.as_manager()

    class Meta:
        db_table = "channels_app_feed_key"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.kid})"

    def revoke(self, now: datetime) -> None:
        """End it for ever, and forget its secret."""
        self.revoked_at, self.secrets = now, ""
        self.save(update_fields=["revoked_at", "secrets"])


def opened(sealed: str) -> str:
    """The secret in the column `secrets`. Raises `secrets.SecretUnreadable` and `secrets.NoSecretKeys`."""
    secret: str = default_box().open(sealed)["secret"]
    return secret

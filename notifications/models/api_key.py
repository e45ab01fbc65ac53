"""Keys of programs: shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.db import models

from notifications.models.streamer import Streamer

#: What every key begins with, so that a leaked one is recognised by scanners and people.
PREFIX = "bf_"
#: How much of a key is kept in clear, so that people can tell keys apart. 6 characters of 43.
_SHOWN_CHARS = len(PREFIX) + 6


class ApiKeyManager(models.Manager["ApiKey"]):
    def issue(self, name: str, *, role: str, streamer: Streamer | None = None) -> tuple[ApiKey, str]:
        """A new key and its text, which is not kept and cannot be shown again."""
        text = PREFIX + secrets.token_urlsafe(32)
        key = self.create(
            name=name, role=role, streamer=streamer, digest=ApiKey.digest_of(text), shown=text[:_SHOWN_CHARS]
        )
        return key, text


class ApiKey(models.Model):
    """A program that may talk to the API, and what it may do there."""

    class Role(models.TextChoices):
        PRODUCER = "producer", "producer: sends notifications and reads its own"
        OPERATOR = "operator", "operator: reads and changes everything"

    name = models.CharField(max_length=100, help_text="Whose key it is.")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.PRODUCER)
    streamer = models.ForeignKey(
        Streamer,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="api_keys",
        help_text="Set: the key speaks for this streamer alone.",
    )
    #: SHA-256. The text has 256 random bits, so a slow hash would protect nothing.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    shown = models.CharField(max_length=20, editable=False, help_text="The beginning of the key.")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyManager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown}…)"

    @staticmethod
    def digest_of(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def revoke(self, now: datetime) -> None:
        """End it for ever."""
        self.revoked_at = now
        self.save(update_fields=["revoked_at"])

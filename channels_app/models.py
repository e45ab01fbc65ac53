"""The configured destinations: one row a channel, its secrets sealed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.contrib.postgres.fields import ArrayField
from django.core.validators import BaseValidator, MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.deconstruct import deconstructible

from channels_app import configuration, registry
from channels_app.base import Config, secret_fields
from channels_app.feed.models import Broadcast, Device, InboxItem, InboxState
from channels_app.feed_keys import FeedKey
from channels_app.sealed import SealedQuerySet
from channels_app.secrets import default_box

__all__ = ["KEY_PATTERN", "PATIENCE", "AtMost", "Broadcast", "Channel", "Device", "FeedKey", "InboxItem", "InboxState"]

#: Keys appear in URLs, import files and logs.
KEY_PATTERN = RegexValidator(r"^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$", "Use letters, digits and . _ : - only.")

#: Columns by which operators say how patiently a channel is treated, whatever its kind.
PATIENCE = (
    "max_attempts",
    "retry_base_s",
    "retry_cap_s",
    "retry_jitter",
    "retry_window_s",
    "transient_codes",
    "breaker_consecutive_failures",
    "breaker_failure_rate",
    "breaker_min_calls",
    "breaker_window_s",
    "breaker_cooldown_s",
    "rate_per_s",
    "rate_burst",
    "max_in_flight",
    "timeout_s",
)


_DAY_S = 86_400.0


@deconstructible
class AtMost(MaxValueValidator):
    """An upper bound that NaN does not slip past: it is neither more nor less than anything."""

    def compare(self, a: Any, b: Any) -> bool:
        return not a <= b


def _between(least: float, most: float) -> list[BaseValidator]:
    """Bounds of a column: what lies outside could not be reckoned with, by Redis or by a calendar."""
    return [MinValueValidator(least), AtMost(most)]


class ChannelQuerySet(SealedQuerySet["Channel"]):
    def current(self) -> ChannelQuerySet:
        """All but those that were deleted."""
        return self.filter(deleted_at__isnull=True)

    def note_failing(self, channel_id: int, now: datetime) -> None:
        """Remember since when a channel fails; the first time stands."""
        self.filter(pk=channel_id, failing_since_at__isnull=True).update(failing_since_at=now)

    def note_working(self, channel_id: int) -> None:
        self.filter(pk=channel_id, failing_since_at__isnull=False).update(failing_since_at=None)

    def note_slow(self, channel_id: int, now: datetime) -> None:
        self.filter(pk=channel_id, slow_since_at__isnull=True).update(slow_since_at=now)

    def note_quick(self, channel_id: int) -> None:
        self.filter(pk=channel_id, slow_since_at__isnull=False).update(slow_since_at=None)

    def quarantine(self, channel_id: int, *, reason: str, now: datetime, probe_at: datetime) -> bool:
        """Take a channel out of service. False when it is already, or was deleted."""
        return bool(
            self.current()
            .filter(pk=channel_id, quarantined_at__isnull=True)
            .update(quarantined_at=now, quarantine_reason=reason, probe_at=probe_at, probes=0)
        )

    def take_probe(self, channel_id: int, *, now: datetime, next_at: datetime) -> bool:
        """Be the one who probes: True for one caller, until `next_at`."""
        return bool(
            self.filter(pk=channel_id, quarantined_at__isnull=False, probe_at__lte=now).update(
                probe_at=next_at, probes=models.F("probes") + 1
            )
        )

    def restore(self, channel_id: int) -> bool:
        """Bring a quarantined channel back into service. False when it is in service already."""
        return bool(
            self.filter(pk=channel_id, quarantined_at__isnull=False).update(
                quarantined_at=None, quarantine_reason="", probe_at=None, probes=0, failing_since_at=None
            )
        )


class Channel(models.Model):
    """A configured destination: a kind, its settings, and how patiently it is treated.

    A deleted channel keeps its row, because its deliveries refer to it, but loses its secrets.
    """

    key = models.CharField(max_length=100, validators=[KEY_PATTERN], help_text="Short, stable name for API and files.")
    name = models.CharField(max_length=200, help_text="What people see.")
    kind = models.CharField(max_length=50, help_text="Which transport carries it.")
    enabled = models.BooleanField(default=True, help_text="Off: everything meant for it is suppressed.")
    owner_key = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_index=True,
        help_text="Key of the streamer who owns it and alone may use it. Empty: shared by all.",
    )
    config = models.JSONField(default=dict, blank=True, help_text="The transport's settings, without the secret ones.")
    secrets = models.TextField(blank=True, default="", editable=False)
    secret_names = models.JSONField(default=list, blank=True, editable=False)

    max_attempts = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=_between(1, 1000), help_text="Tries in all. Empty: 10."
    )
    retry_base_s = models.FloatField(
        null=True, blank=True, validators=_between(0.0, _DAY_S), help_text="First step of the backoff. Empty: 10 s."
    )
    retry_cap_s = models.FloatField(
        null=True, blank=True, validators=_between(0.0, 7 * _DAY_S), help_text="Longest step. Empty: 6 hours."
    )
    retry_jitter = models.BooleanField(null=True, blank=True, help_text="Draw each wait at random. Empty: yes.")
    retry_window_s = models.FloatField(
        null=True, blank=True, validators=_between(0.0, 90 * _DAY_S), help_text="How long it is tried. Empty: 3 days."
    )
    transient_codes = ArrayField(
        models.PositiveSmallIntegerField(validators=[MinValueValidator(100), MaxValueValidator(599)]),
        blank=True,
        default=list,
        size=50,
        help_text="Answers (codes of HTTP or SMTP) that are tried again although they refuse for good: 404, 550.",
    )

    breaker_consecutive_failures = models.PositiveIntegerField(
        null=True, blank=True, validators=_between(1, 1_000_000), help_text="Open after so many in a row. Empty: 10."
    )
    breaker_failure_rate = models.FloatField(
        null=True, blank=True, validators=_between(0.01, 1.0), help_text="Open at this share of failures. Empty: 0.7."
    )
    breaker_min_calls = models.PositiveIntegerField(
        null=True, blank=True, validators=_between(1, 1_000_000), help_text="… of at least so many tries. Empty: 10."
    )
    breaker_window_s = models.FloatField(
        null=True, blank=True, validators=_between(1.0, _DAY_S), help_text="… within this time. Empty: 300 s."
    )
    breaker_cooldown_s = models.FloatField(
        null=True, blank=True, validators=_between(0.1, _DAY_S), help_text="First pause when open. Empty: 30 s."
    )

    rate_per_s = models.FloatField(
        null=True, blank=True, validators=_between(0.0001, 100_000.0), help_text="Most per second. Empty: no limit."
    )
    rate_burst = models.PositiveIntegerField(
        null=True, blank=True, validators=_between(1, 1_000_000), help_text="At once after a pause. Empty: the rate."
    )
    max_in_flight = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=_between(1, 10_000),
        help_text="Requests open at once, over all workers. Empty: 100 a lane.",
    )
    timeout_s = models.FloatField(
        null=True, blank=True, validators=_between(0.1, 60.0), help_text="Longest wait for an answer. Empty: 15 s."
    )

    #: Since when it answers so slowly that it travels in a lane of its own; None while it is quick.
    slow_since_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: Since when its breaker has not closed, or it only asks us to slow down; None while it works.
    failing_since_at = models.DateTimeField(null=True, blank=True, editable=False)
    quarantined_at = models.DateTimeField(null=True, blank=True, editable=False)
    quarantine_reason = models.TextField(blank=True, default="", editable=False)
    #: When one delivery may find out whether a quarantined channel works again, and how many have tried.
    probe_at = models.DateTimeField(null=True, blank=True, editable=False)
    probes = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=models.Q(deleted_at__isnull=True),
                name="channel_key_unique",
                violation_error_message="Another channel has this key.",
            )
        ]

    def __str__(self) -> str:
        return self.name or self.key

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Check and take over `settings`; secrets that are left out stay as they are. Does not save.

        Raises `configuration.InvalidConfig`, which names the field, and `registry.UnknownKind`.
        """
        hidden = secret_fields(registry.get(self.kind).Config)
        complete = configuration.merged(settings, self._open(), hidden)
        plain, secret = configuration.split(configuration.check(self.kind, complete))
        self.config = plain
        self.secrets = default_box().seal(secret) if secret else ""
        self.secret_names = sorted(name for name, value in secret.items() if value)

    def typed_config(self) -> Config:
        """The settings for the transport, secrets opened. Raises `secrets.SecretUnreadable`."""
        transport = registry.get(self.kind)
        config: Config = msgspec.convert({**self.config, **self._open()}, transport.Config)
        return config

    @property
    def shown_config(self) -> dict[str, Any]:
        """The settings as a reader may see them."""
        return configuration.masked(self.kind, self.config, frozenset(self.secret_names))

    def retire(self, now: datetime) -> None:
        """Delete it for all eyes: no longer listed, its secrets forgotten, its past kept."""
        self.deleted_at, self.enabled = now, False
        self.secrets, self.secret_names = "", []
        self.save(update_fields=["deleted_at", "enabled", "secrets", "secret_names", "updated_at"])

    def _open(self) -> dict[str, Any]:
        return default_box().open(self.secrets) if self.secrets else {}

"""The rules as operators keep them: one row a scope. What they mean is in `notifications.policy`."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from channels_app.models import Channel
from notifications import priority
from notifications.models.streamer import Streamer
from notifications.policy import Rules, Scope


class Policy(models.Model):
    """What is set for everyone, for a platform, or for a streamer. An empty field says nothing."""

    class Kind(models.TextChoices):
        GLOBAL = Scope.GLOBAL.value, "everyone"
        PLATFORM = Scope.PLATFORM.value, "a platform"
        STREAMER = Scope.STREAMER.value, "a streamer"

    scope = models.CharField(max_length=10, choices=Kind.choices, default=Kind.GLOBAL)
    platform = models.CharField(max_length=50, blank=True, default="", help_text="For the scope platform only.")
    streamer = models.OneToOneField(
        Streamer,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="policy",
        help_text="For the scope streamer only.",
    )
    enabled = models.BooleanField(null=True, blank=True, help_text="Empty: as the wider policy says.")
    min_priority = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(priority.LOWEST), MaxValueValidator(priority.HIGHEST)],
        help_text="The least that is told, 0 to 10 (low 2, normal 5, high 8, critical 10).",
    )
    event_types = ArrayField(
        models.CharField(max_length=100),
        null=True,
        blank=True,
        help_text="Patterns such as stream_* or *, separated by commas.",
    )
    names_channels = models.BooleanField(
        default=False, help_text="On: exactly the channels below are told. Off: as the wider policy says."
    )
    channels = models.ManyToManyField(Channel, blank=True, related_name="policies")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "policies"
        ordering = ["scope", "platform", "streamer__key"]
        constraints = [
            models.UniqueConstraint(
                fields=["scope"],
                condition=models.Q(scope="global"),
                name="policy_one_global",
                violation_error_message="There is a global policy already; change that one.",
            ),
            models.UniqueConstraint(
                fields=["platform"],
                condition=models.Q(scope="platform"),
                name="policy_one_a_platform",
                violation_error_message="This platform has a policy already; change that one.",
            ),
            models.CheckConstraint(
                condition=models.Q(scope="global", platform="", streamer__isnull=True)
                | (models.Q(scope="platform", streamer__isnull=True) & ~models.Q(platform=""))
                | models.Q(scope="streamer", platform="", streamer__isnull=False),
                name="policy_scope_fits",
                violation_error_message=(
                    "A global policy names neither platform nor streamer, a platform policy a platform, "
                    "a streamer policy a streamer."
                ),
            ),
        ]

    def __str__(self) -> str:
        if self.scope == Scope.STREAMER:
            return f"streamer {self.streamer}"
        return f"platform {self.platform}" if self.scope == Scope.PLATFORM else "global"

    def rules(self) -> Rules:
        """The fields that this policy sets, for `policy.resolve`. Reads `channels`: prefetch them."""
        return Rules(
            enabled=self.enabled,
            min_priority=self.min_priority,
            event_types=None if self.event_types is None else tuple(self.event_types),
            channel_ids=frozenset(channel.pk for channel in self.channels.all()) if self.names_channels else None,
        )

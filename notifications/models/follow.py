"""Who wants to hear of whom: a recipient's feed gets what is told of the streamers that they follow."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

from channels_app.feed.item import MAX_RECIPIENT
from channels_app.feed.recipient import BadRecipient, spelled
from notifications import priority
from notifications.models.streamer import Streamer


class FollowQuerySet(models.QuerySet["Follow"]):
    def end_all(self, recipient: str) -> int:
        """Forget whom `recipient` follows. Returns how many."""
        return self.filter(recipient=recipient).delete()[0]


class Follow(models.Model):
    """One recipient, one streamer, and from which priority on."""

    recipient = models.CharField(
        max_length=MAX_RECIPIENT,
        db_collation="C",
        help_text="Whose feed: the key by which applications know the person.",
    )
    # Without an index of its own: two of the others begin with it.
    streamer = models.ForeignKey(
        Streamer,
        on_delete=models.CASCADE,
        related_name="follows",
        db_index=False,
        help_text="Of whom they want to hear.",
    )
    min_priority = models.PositiveSmallIntegerField(
        default=priority.LOWEST,
        validators=[MaxValueValidator(priority.HIGHEST)],
        help_text="From here on, 0 to 10: low is 2, normal 5, high 8, critical 10. 0: everything.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = FollowQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["streamer", "recipient"],
                name="follow_once",
                violation_error_message="This recipient follows this streamer already.",
            )
        ]
        indexes = [
            models.Index(fields=["recipient", "id"], name="follow_by_recipient"),
            # Whether anybody wants to hear of it is asked for every notification.
            models.Index(fields=["streamer", "min_priority"], name="follow_wanted"),
        ]

    def __str__(self) -> str:
        return f"{self.recipient} → {self.streamer}"

    def clean_fields(self, exclude: object = None) -> None:
        """Spell the recipient as everywhere. Raises `ValidationError`, which names the field."""
        try:
            self.recipient = spelled(self.recipient)
        except BadRecipient as error:
            raise ValidationError({"recipient": str(error)}) from None
        super().clean_fields(exclude)  # type: ignore[arg-type]

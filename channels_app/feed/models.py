"""The tables of feeds: a state and many items for each recipient, their devices, and what is told to everybody.

Recipients are ordered by the bytes of their keys (collation "C"), in Postgres as in Python: whoever
locks several states does so in that order, and no two ever wait for each other.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from channels_app.feed.item import MAX_DEVICE, MAX_RECIPIENT


def _recipient(*, primary_key: bool = False) -> models.CharField[str, str]:
    return models.CharField(max_length=MAX_RECIPIENT, db_collation="C", primary_key=primary_key)


class InboxState(models.Model):
    """How one feed stands. Its row lock is what gives changes their numbers."""

    recipient = _recipient(primary_key=True)
    #: Grows when the feed is wiped or the database restored: numbers of another epoch mean nothing.
    epoch = models.IntegerField(db_default=1)
    #: The number of the latest change.
    last_seq = models.BigIntegerField(db_default=0)
    #: Changes below this number may have been forgotten.
    floor_seq = models.BigIntegerField(db_default=0)
    unread = models.IntegerField(db_default=0)
    read_upto = models.BigIntegerField(db_default=0)
    #: Grows with every change of this row that a reader can see.
    version = models.BigIntegerField(db_default=0)
    #: Broadcasts up to this one are in the feed, or were never meant for it.
    broadcast_upto = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "channels_app_inbox_state"
        verbose_name = "feed"

    def __str__(self) -> str:
        return self.recipient


class Content(models.Model):
    """What feed items and broadcasts say."""

    source = models.UUIDField(null=True, blank=True)
    event_type = models.CharField(max_length=100)
    priority = models.PositiveSmallIntegerField()
    title = models.TextField(db_default="")
    body = models.TextField(db_default="")
    url = models.TextField(db_default="")
    content_type = models.CharField(max_length=100)
    payload = models.BinaryField(null=True)
    wants_ack = models.BooleanField(db_default=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class InboxItem(Content):
    """One item of one feed. A deleted one stays for a while without its texts, so that clients hear of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    recipient = _recipient()
    #: Its number when it was new, and that of its latest change.
    seq = models.BigIntegerField()
    changed_seq = models.BigIntegerField()
    delivered_at = models.DateTimeField(null=True, blank=True)
    delivered_device = models.CharField(max_length=MAX_DEVICE, db_default="")
    seen_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "channels_app_inbox_item"
        verbose_name = "feed item"
        constraints = [
            # The source stands first, so that all items of one are found by it too.
            models.UniqueConstraint(
                fields=["source", "recipient"], condition=Q(source__isnull=False), name="inbox_item_source"
            )
        ]
        indexes = [
            models.Index(fields=["recipient", "changed_seq"], name="inbox_item_changes"),
            models.Index(F("recipient"), F("seq").desc(), condition=Q(deleted_at__isnull=True), name="inbox_item_page"),
            models.Index(
                fields=["expires_at"],
                condition=Q(deleted_at__isnull=True, expires_at__isnull=False),
                name="inbox_item_expiring",
            ),
            models.Index(fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="inbox_item_deleted"),
        ]

    def __str__(self) -> str:
        return self.title or self.event_type


class Device(models.Model):
    """How far one device of a recipient has acknowledged."""

    recipient = _recipient()
    key = models.CharField(max_length=MAX_DEVICE)
    acked_seq = models.BigIntegerField(db_default=0)
    last_seen_at = models.DateTimeField()

    class Meta:
        db_table = "channels_app_device"
        constraints = [models.UniqueConstraint(fields=["recipient", "key"], name="device_of_recipient")]

    def __str__(self) -> str:
        return f"{self.recipient} {self.key}"


class Broadcast(Content):
    """Something told to everybody, that is written into a feed when its recipient next looks."""

    id = models.BigAutoField(primary_key=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "channels_app_broadcast"
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=Q(source__isnull=False), name="broadcast_source")
        ]

    def __str__(self) -> str:
        return self.title or self.event_type

"""Who asks, and what is theirs: every view asks the caller for the rows that it may show or change.

What is not the caller's is not found, rather than forbidden: nobody learns from an answer what
others have.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from channels_app.models import Channel, ChannelQuerySet
from notifications.models import ApiKey, DeadLetter, Delivery, Follow, Notification, Policy, Streamer
from notifications.models.dead_letter import DeadLetterQuerySet
from notifications.models.delivery import DeliveryQuerySet
from notifications.models.notification import NotificationQuerySet


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A program with an API key, or a member of staff with a session.

    `name` is for the records of who did what. `role` is empty for staff who have their feed here and
    nothing else. `api_key` is None for staff. `streamer_id` and `streamer_key` are set where the key
    speaks for one streamer alone.
    """

    name: str
    role: str
    api_key: ApiKey | None = None
    streamer_id: int | None = None
    streamer_key: str = ""

    #: What Django and DRF ask of a user.
    is_authenticated = True
    is_active = True

    @property
    def is_operator(self) -> bool:
        return self.role == ApiKey.Role.OPERATOR

    @property
    def is_bound(self) -> bool:
        """Whether it speaks for one streamer alone."""
        return self.streamer_id is not None

    def notifications(self) -> NotificationQuerySet:
        """A streamer's where it is bound to one, else all for operators, and a producer's own."""
        rows = Notification.objects.all()
        if self.is_bound:
            return rows.filter(streamer=self.streamer_id)
        return rows if self.is_operator else rows.filter(producer=self.api_key)

    def deliveries(self) -> DeliveryQuerySet:
        """Those of `notifications`."""
        rows = Delivery.objects.all()
        if self.is_bound:
            return rows.filter(notification__streamer=self.streamer_id)
        return rows if self.is_operator else rows.filter(notification__producer=self.api_key)

    def dead_letters(self) -> DeadLetterQuerySet:
        """Those of its streamer's notifications, or all."""
        rows = DeadLetter.objects.all()
        return rows.filter(delivery__notification__streamer=self.streamer_id) if self.is_bound else rows

    def streamers(self) -> QuerySet[Streamer]:
        """Its own, or all."""
        rows = Streamer.objects.all()
        return rows if self.streamer_id is None else rows.filter(pk=self.streamer_id)

    def channels(self) -> ChannelQuerySet:
        """Those that its streamer owns, or all; without the deleted ones."""
        rows = Channel.objects.current()
        return rows.filter(owner_key=self.streamer_key) if self.is_bound else rows

    def follows(self) -> QuerySet[Follow]:
        """Of its streamer, or all."""
        rows = Follow.objects.all()
        return rows.filter(streamer=self.streamer_id) if self.is_bound else rows

    def policies(self) -> QuerySet[Policy]:
        """Its streamer's, or all."""
        rows = Policy.objects.all()
        return rows.filter(streamer=self.streamer_id) if self.is_bound else rows


def known_caller(request: Request | None) -> Caller | None:
    """The caller of a request, or None where nobody has shown who they are."""
    caller = request.auth if request is not None else None
    return caller if isinstance(caller, Caller) else None


def caller_of(request: Request) -> Caller:
    """The caller of a request that no stranger may make."""
    caller = known_caller(request)
    if caller is None:
        raise NotAuthenticated
    return caller


class IsCaller(BasePermission):
    """Anybody with a valid key, or the session of a superuser."""

    message = "This needs an API key, or the session of a superuser."

    def has_permission(self, request: Request, view: object) -> bool:
        caller = known_caller(request)
        return caller is not None and bool(caller.role)


class IsOperator(BasePermission):
    """Operators, with a key or as superusers."""

    message = "This needs an API key with the role operator, or the session of a superuser."

    def has_permission(self, request: Request, view: object) -> bool:
        caller = known_caller(request)
        return caller is not None and caller.is_operator

"""/follows: who wants to hear of whom.

Operators say who follows; who a recipient may hear of is theirs to decide. Recipients see what they
follow, ask for more or less of it, and end it.
"""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from channels_app.feed.recipient import BadRecipient, spelled
from notifications.api import examples
from notifications.api.caller import Caller, known_caller
from notifications.api.feed_reader import RECIPIENTS_TOO, known_reader
from notifications.api.open_to_pages import OpenToPages
from notifications.api.pagination import ById
from notifications.api.policies import PriorityField
from notifications.api.resource import Resources, StrictSerializer, described
from notifications.models import Follow, Streamer


class FollowSerializer(StrictSerializer):
    fixed = frozenset({"recipient", "streamer"})

    recipient = serializers.CharField(help_text="Whose feed: the key by which applications know the person.")
    streamer: Any = serializers.SlugRelatedField(
        slug_field="key", queryset=Streamer.objects.all(), help_text="Key of a streamer."
    )
    min_priority = PriorityField(required=False, help_text="From here on; 0, which is usual, for everything.")

    class Meta:
        model = Follow
        fields = ["id", "recipient", "streamer", "min_priority", "created_at"]
        read_only_fields = ["id", "created_at"]
        # Said by `validate`, with the name of the field at fault.
        validators: list[Any] = []

    def validate_recipient(self, text: str) -> str:
        try:
            return spelled(text)
        except BadRecipient as error:
            raise serializers.ValidationError(str(error)) from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if self.instance is None:
            self._check_new(attrs["recipient"], attrs["streamer"])
        return attrs

    def _check_new(self, recipient: str, streamer: Streamer) -> None:
        if self.caller.is_bound and streamer.pk != self.caller.streamer_id:
            text = f"This API key speaks for the streamer {self.caller.streamer_key!r} alone."
            raise serializers.ValidationError({"streamer": text})
        if Follow.objects.filter(recipient=recipient, streamer=streamer).exists():
            text = "This recipient follows this streamer already; change that."
            raise serializers.ValidationError({"streamer": text})


class FollowFilters(django_filters.FilterSet):  # type: ignore[misc]
    recipient = django_filters.CharFilter(method="of", help_text="Only what this recipient follows.")
    streamer = django_filters.CharFilter(field_name="streamer__key", help_text="Only who follows this streamer.")

    def of(self, rows: QuerySet[Follow], name: str, value: str) -> QuerySet[Follow]:
        try:
            return rows.filter(recipient=spelled(value))
        except BadRecipient:
            return rows.none()


class MayFollow(BasePermission):
    """Operators; recipients, for what there is."""

    message = "This needs an API key with the role operator."

    def has_permission(self, request: Request, view: Any) -> bool:
        caller = known_caller(request)
        if caller is not None:
            return caller.is_operator
        return known_reader(request) is not None and view.action != "create"


@described(
    "follows",
    "a follow",
    example=examples.FOLLOW,
    list="In the order in which they were made. Recipients see their own.",
    create="From then on the recipient's feed gets what is told of it, from `min_priority` on. For operators.",
    retrieve="By its id.",
    partial_update="Only `min_priority` can change.",
    destroy="What stands in the feed stays.",
)
class Follows(OpenToPages, Resources):
    authentication_classes = RECIPIENTS_TOO
    permission_classes = [MayFollow]
    serializer_class = FollowSerializer
    pagination_class = ById
    filterset_class = FollowFilters
    lookup_field = "id"

    def rows(self, caller: Caller) -> QuerySet[Follow]:
        reader = known_reader(self.request)
        rows = Follow.objects.filter(recipient=reader.recipient) if reader is not None else caller.follows()
        return rows.select_related("streamer")

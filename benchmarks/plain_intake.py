"""Accepting a notification the plain way: a DRF view with a serializer, and the ORM. Served by `plain_settings`.

The same body, the same API keys, the same row; DRF's own JSON. To be fair to it, it asks nothing
that a serializer does not ask by itself: no repeat of an idempotency key is recognised.
"""

from __future__ import annotations

from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from notifications.api.caller import IsCaller, caller_of
from notifications.models import Notification, Streamer


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    """Every field that `draft.Draft` has."""

    priority = serializers.IntegerField(min_value=0, max_value=10)
    streamer = serializers.SlugRelatedField(slug_field="key", queryset=Streamer.objects.all(), required=False)
    recipients = serializers.ListField(child=serializers.CharField(max_length=200), required=False)

    class Meta:
        model = Notification
        fields = [
            "id",
            "event_type",
            "priority",
            "title",
            "body",
            "data",
            "streamer",
            "recipients",
            "scheduled_at",
            "expires_at",
            "idempotency_key",
            "accepted_at",
        ]
        read_only_fields = ["id", "accepted_at"]
        # The one on the idempotency key would cost it a query more.
        validators: list[object] = []


class PlainNotifications(APIView):
    permission_classes = [IsCaller]
    parser_classes = [JSONParser]
    renderer_classes = [JSONRenderer]

    def post(self, request: Request) -> Response:
        serializer = NotificationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save(producer=caller_of(request).api_key, accepted_at=timezone.now())
        return Response(serializer.data, status=201)


urlpatterns = [path("plain/notifications", PlainNotifications.as_view())]

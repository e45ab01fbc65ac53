"""/health: whether this process can do its work. For load balancers and people; never hangs.

The database is asked on a connection of its own and each part in a thread with a deadline, so that a
frozen engine costs the asker a second or two and no more. The answer is kept for a second: asking
often costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from functools import partial
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import connection
from drf_spectacular.utils import OpenApiExample, extend_schema
from kombu import Connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

#: The longest that one part may take to answer.
DEADLINE_S = 1.5
_KEPT_FOR_S = 1.0
_REDIS_TIMEOUT_S = 0.5

OK, AWAY, DEGRADED = "ok", "away", "degraded"
PART_STATES = (OK, AWAY)

_log = structlog.get_logger(__name__)


class HealthSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=[OK, DEGRADED, AWAY], help_text="away: the database does not answer.")
    database = serializers.ChoiceField(choices=PART_STATES)
    redis = serializers.ChoiceField(choices=PART_STATES, help_text="Away: limits and breakers let everything pass.")
    broker = serializers.ChoiceField(choices=PART_STATES, help_text="Away: deliveries wait, none is lost.")
    version = serializers.CharField()


class Health(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        tags=["health"],
        operation_id="health",
        summary="Health",
        description="200 while notifications can be accepted, even where Redis or the broker are away (`degraded`); "
        "503 when the database does not answer.",
        responses={200: HealthSerializer, 503: HealthSerializer},
        auth=[],
        examples=[
            OpenApiExample(
                "Well",
                value={"status": OK, "database": OK, "redis": OK, "broker": OK, "version": "0.1.0"},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        parts = KEPT.parts()
        return Response(
            {"status": status_of(parts), **parts, "version": settings.SPECTACULAR_SETTINGS["VERSION"]},
            status=200 if parts["database"] == OK else 503,
        )


def status_of(parts: Mapping[str, str]) -> str:
    """`ok`, `degraded` while the truth is there and something else is not, `away` without the truth."""
    if parts["database"] != OK:
        return AWAY
    return OK if all(state == OK for state in parts.values()) else DEGRADED


def ask(probes: Mapping[str, Callable[[], object]], threads: ThreadPoolExecutor) -> dict[str, str]:
    """Ask all parts at once; what fails or takes longer than the deadline is away."""
    asked = {name: threads.submit(probe) for name, probe in probes.items()}
    deadline = time.monotonic() + DEADLINE_S
    return {name: _state(name, answer, deadline) for name, answer in asked.items()}


def _state(name: str, answer: Future[object], deadline: float) -> str:
    try:
        answer.result(timeout=max(deadline - time.monotonic(), 0.0))
    except TookTooLong:
        answer.cancel()
        _log.warning("health_part_away", part=name, error="no answer in time")
        return AWAY
    except Exception as error:  # noqa: BLE001  whatever a driver raises: it is away
        _log.warning("health_part_away", part=name, error=type(error).__name__)
        return AWAY
    return OK


def _database(parameters: dict[str, Any]) -> None:
    with psycopg.connect(**{**parameters, "connect_timeout": 2}) as own:
        own.execute("SELECT 1")


def _redis(url: str) -> None:
    with Redis.from_url(
        url,
        socket_timeout=_REDIS_TIMEOUT_S,
        socket_connect_timeout=_REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        client.ping()


def _broker() -> None:
    url = settings.BELFRY_BROKER_URL
    if url.startswith(("redis://", "rediss://")):
        _redis(url)
        return
    with Connection(url, connect_timeout=1) as broker:
        broker.connect()


def _probes() -> dict[str, Callable[[], object]]:
    return {
        "database": partial(_database, connection.get_connection_params()),
        "redis": partial(_redis, settings.BELFRY_REDIS_URL),
        "broker": _broker,
    }


class _Kept:
    """The last answer, for a second; one asker asks, the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._until = 0.0
        self._parts: dict[str, str] = {}

    def parts(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() >= self._until:
                # A part that hangs keeps its thread; two each, so that the next asker finds one.
                self._threads = self._threads or ThreadPoolExecutor(6, thread_name_prefix="belfry-health")
                self._parts = ask(_probes(), self._threads)
                self._until = time.monotonic() + _KEPT_FOR_S
            return self._parts

    def forget(self) -> None:
        """Ask anew at the next call."""
        self._until = 0.0


KEPT = _Kept()

"""A broker's URL as Celery's settings. Each option answers a failure that was measured."""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

from project.queues import QUEUES, most_waiting

_REDIS_SCHEMES = ("redis://", "rediss://", "sentinel://")


def broker_settings(url: str, *, sentinel_master: str) -> dict[str, Any]:
    """Celery's settings for the broker at `url`. Raises `ValueError` for a broker that is not supported."""
    if url.startswith(("amqp://", "amqps://", "pyamqp://")):
        return _rabbitmq(url)
    if url.startswith(_REDIS_SCHEMES):
        return _redis(url, sentinel_master)
    raise ValueError("BROKER_URL must begin with redis://, rediss://, sentinel:// or amqp://")


def _redis(url: str, sentinel_master: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        # Above twice the longest task: a message whose worker died comes back after it, and not after an hour.
        "visibility_timeout": 120,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Without these a half-open connection hangs a worker for ever.
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 5,
        # Urgency is a matter of queues, not of four lists per queue.
        "priority_steps": [0],
    }
    if url.startswith("sentinel://"):
        options["master_name"] = sentinel_master
    return {
        "broker_url": url,
        "broker_transport_options": options,
        "task_queues": [Queue(name) for name in QUEUES],
    }


def _rabbitmq(url: str) -> dict[str, Any]:
    # Quorum queues survive a node; confirms, because `published` without them means `put into a socket`. A queue that
    # nobody reads drops its oldest, which is a wake-up like the newest.
    exchange = Exchange("belfry", type="direct", durable=True)
    return {
        "broker_url": url,
        "broker_transport_options": {"confirm_publish": True},
        "broker_heartbeat": 10,
        "task_default_queue_type": "quorum",
        "worker_detect_quorum_queues": True,
        "task_queues": [
            Queue(name, exchange, routing_key=name, queue_arguments=_bounded(most_waiting(name))) for name in QUEUES
        ],
    }


def _bounded(length: int) -> dict[str, Any]:
    return {"x-queue-type": "quorum", "x-max-length": length, "x-overflow": "drop-head"}

"""Whether the broker of the workers answers: while it does not, what is new may come late into feeds."""

from __future__ import annotations

import kombu
from kombu.exceptions import OperationalError
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

_TIMEOUT_S = 2


def answers(url: str) -> bool:
    """Ask the broker at `url` for a sign of life. Takes seconds where it is frozen: not for the event loop."""
    return _redis_answers(url) if url.startswith(("redis://", "rediss://")) else _other_answers(url)


def _redis_answers(url: str) -> bool:
    patience = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
    try:
        with Redis.from_url(url, retry=Retry(NoBackoff(), 0), **patience) as client:
            return bool(client.ping())
    except RedisError:
        return False


def _other_answers(url: str) -> bool:
    try:
        with kombu.Connection(url, connect_timeout=_TIMEOUT_S) as connection:
            connection.ensure_connection(max_retries=1, timeout=_TIMEOUT_S)
            return True
    except (OperationalError, OSError):
        return False

"""The Redis that may be flushed, frozen or gone at any time: breakers, limits, live hints.

Nothing in it is the truth, so nobody waits for it: calls time out after a quarter of a second, and
after a failure it is left alone for a moment, so that its absence costs a worker next to nothing.
Each caller decides what to do without it, and counts that in a metric of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any, cast

import msgspec
import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = structlog.get_logger(__name__)

#: How long a call may take. A healthy Redis answers in under a millisecond.
TIMEOUT_S = 0.25

#: How long Redis is left alone after it has failed.
REST_S = 1.0

_LUA = Path(__file__).with_name("lua")


class Away(Exception):
    """Redis did not answer, or did not answer a moment ago."""


class Script:
    """A Lua script from `channels_app/lua/`. Its arguments and its result are MessagePack.

    In the script: `ARGV[1]` holds the arguments; a text made by `cmsgpack.pack` is the result.
    """

    def __init__(self, *names: str) -> None:
        self.text = "\n".join((_LUA / f"{name}.lua").read_text() for name in names)
        # Redis knows scripts by this digest; it protects nothing.
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Volatile:
    """Runs scripts in Redis, or says at once that it is away. Safe to share between threads."""

    def __init__(self, client: redis.Redis, *, rest_s: float = REST_S) -> None:
        self.client = client
        self._rest_s = rest_s
        self._rests_until = 0.0

    def run(self, script: Script, keys: Sequence[str], arguments: object) -> Any:
        """The result of `script` on `keys`, in one round trip. Raises `Away`."""
        if monotonic() < self._rests_until:
            raise Away
        packed = msgspec.msgpack.encode(arguments)
        try:
            return msgspec.msgpack.decode(self._call(script, keys, packed))
        except redis.RedisError as error:
            self._leave_alone(error)
            raise Away from error

    def _leave_alone(self, error: redis.RedisError) -> None:
        # Said once for each outage, not once a second.
        if monotonic() - self._rests_until > self._rest_s:
            logger.warning("redis_away", error=type(error).__name__, detail=str(error)[:200])
        self._rests_until = monotonic() + self._rest_s

    def _call(self, script: Script, keys: Sequence[str], packed: bytes) -> bytes:
        try:
            result = self.client.evalsha(script.digest, len(keys), *keys, packed)
        except redis.exceptions.NoScriptError:
            result = self.client.eval(script.text, len(keys), *keys, packed)
        return cast(bytes, result)


def default_volatile() -> Volatile:
    """The one at `settings.BELFRY_REDIS_URL`, shared by the whole process."""
    return _volatile(settings.BELFRY_REDIS_URL)


def connect(url: str) -> redis.Redis:
    """A client that gives up quickly. A connection that was closed meanwhile is replaced once."""
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        protocol=2,
    )


@lru_cache(maxsize=4)
def _volatile(url: str) -> Volatile:
    return Volatile(connect(url))

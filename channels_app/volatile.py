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

#: What a script fails at is said so often: it may be asked a hundred times a second.
_REPORT_EVERY_S = 60.0

_LUA = Path(__file__).with_name("lua")


class Away(Exception):
    """Redis did not do what was asked: it does not answer, did not a moment ago, or refused."""


class Script:
    """A Lua script from `channels_app/lua/`, of the parts `names`. Its arguments and its result are MessagePack.

    In the script: `ARGV[1]` holds the arguments; what `each` returns is the result.
    """

    def __init__(self, *names: str) -> None:
        self.name = names[-1]
        self.text = "\n".join((_LUA / f"{name}.lua").read_text() for name in ("each", *names))
        # Redis knows scripts by this digest; it protects nothing.
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Volatile:
    """Runs scripts in Redis, or says at once that it is away. Safe to share between threads."""

    def __init__(self, client: redis.Redis, *, rest_s: float = REST_S) -> None:
        self.client = client
        self._rest_s = rest_s
        self._rests_until = 0.0
        self._reported = -_REPORT_EVERY_S

    def run(self, script: Script, keys: Sequence[str], arguments: object) -> list[Any]:
        """What `script` says of each channel, in one round trip; None of one that it failed at. Raises `Away`."""
        if monotonic() < self._rests_until:
            raise Away
        packed = msgspec.msgpack.encode(arguments)
        try:
            answers: list[Any] = msgspec.msgpack.decode(self._call(script, keys, packed))
        except redis.ResponseError as error:
            # It is there and refuses: nobody waits for it, so there is nothing to be gained by a rest.
            self._report(script, str(error))
            raise Away from error
        except redis.RedisError as error:
            self._leave_alone(error)
            raise Away from error
        failed = [place for place, answer in enumerate(answers) if isinstance(answer, str)]
        if failed:
            first = keys[failed[0] * len(keys) // len(answers)]
            self._report(script, answers[failed[0]], key=first, channels=len(failed))
        for place in failed:
            answers[place] = None
        return answers

    def insist(self, script: Script, keys: Sequence[str], arguments: object) -> None:
        """Do what somebody asked for by hand. Raises `Away`, also where the script failed."""
        if None in self.run(script, keys, arguments):
            raise Away

    def _report(self, script: Script, error: str, **where: object) -> None:
        if monotonic() - self._reported >= _REPORT_EVERY_S:
            self._reported = monotonic()
            logger.error("redis_script_failed", script=script.name, error=error[:200], **where)

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


def default_volatile(*, timeout_s: float = TIMEOUT_S, rest_s: float = REST_S) -> Volatile:
    """The one at `settings.BELFRY_REDIS_URL`, shared by all in the process who have as much patience."""
    return _volatile(settings.BELFRY_REDIS_URL, timeout_s, rest_s)


def connect(url: str, *, timeout_s: float = TIMEOUT_S) -> redis.Redis:
    """A client that gives up quickly. A connection that was closed meanwhile is replaced once."""
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        protocol=2,
    )


@lru_cache(maxsize=8)
def _volatile(url: str, timeout_s: float, rest_s: float) -> Volatile:
    return Volatile(connect(url, timeout_s=timeout_s), rest_s=rest_s)

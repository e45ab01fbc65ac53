"""How a place treats what reaches it: takes it, refuses it for a while, or misbehaves.

A behaviour can be written as text, in a URL or on a command line: a preset, settings, or both,
as in `never`, `down:for_s=5`, `delay_ms=20,slow_share=0.01,slow_ms=3000`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from random import Random
from typing import Any

from project.outside.http_server import Answer, Manner


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a place does. The default takes everything at once and answers 204."""

    #: Answered while it misbehaves; 2xx means that the message was taken all the same.
    status: int = 204
    manner: Manner = Manner.WHOLE
    #: It misbehaves with this share of the requests (0 to 1), drawn from the world's seed ...
    share: float = 1.0
    #: ... for so many requests ...
    for_requests: float = math.inf
    #: ... and so many seconds after the first. Then it takes everything and answers 204.
    for_s: float = math.inf
    #: Sent as `Retry-After` with `status`; negative: not sent.
    retry_after_s: float = -1.0
    #: Every answer comes so late ...
    delay_ms: float = 0.0
    #: ... and this share of them (0 to 1) so late.
    slow_share: float = 0.0
    slow_ms: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Behaviour:
        """The behaviour that `text` names. Raises `ValueError` when it names none."""
        name, _, settings = text.partition(":") if ":" in text or "=" not in text else ("", "", text)
        if name not in PRESETS:
            raise ValueError(f"No behaviour {name!r}; there are {', '.join(sorted(filter(None, PRESETS)))}.")
        pairs = [pair.partition("=") for pair in settings.split(",") if pair]
        changes = {key: _value(key, value) for key, _, value in pairs}
        return replace(PRESETS[name], **changes)


_CASTS: Mapping[str, Any] = {f.name: float for f in fields(Behaviour)} | {"status": int, "manner": Manner}


def _value(key: str, text: str) -> Any:
    if key not in _CASTS:
        raise ValueError(f"A behaviour has no {key!r}; it has {', '.join(_CASTS)}.")
    return _CASTS[key](text)


PRESETS: Mapping[str, Behaviour] = {
    "": Behaviour(),
    "sink": Behaviour(),
    #: Fails for a while and comes back.
    "down": Behaviour(status=503, for_s=5.0),
    #: Never comes back.
    "never": Behaviour(status=500),
    "missing": Behaviour(status=404),
    "gone": Behaviour(status=410),
    "redirect": Behaviour(status=302),
    "throttle": Behaviour(status=429, retry_after_s=2.0, for_requests=1),
    "slow": Behaviour(delay_ms=200.0),
    #: One in a hundred takes three seconds.
    "tail": Behaviour(delay_ms=20.0, slow_share=0.01, slow_ms=3000.0),
    "late": Behaviour(delay_ms=5000.0),
    "reset": Behaviour(manner=Manner.RESET),
    "half": Behaviour(status=200, manner=Manner.HALF),
    "huge": Behaviour(status=200, manner=Manner.HUGE),
    "drip": Behaviour(status=200, manner=Manner.DRIP),
    "hang": Behaviour(status=0, manner=Manner.HANG),
}

_TAKEN = Answer()


@dataclass(slots=True)
class Conduct:
    """A behaviour as one place follows it: remembers when it began and how often it misbehaved."""

    behaviour: Behaviour
    random: Random
    _first_at: datetime | None = None
    _misbehaved: int = 0
    _plain: bool = field(init=False)

    def __post_init__(self) -> None:
        self._plain = self.behaviour == Behaviour()

    def answer(self, now: datetime) -> Answer:
        """What to answer to a request that arrived `now`."""
        if self._plain:
            return _TAKEN
        self._first_at = self._first_at or now
        elapsed_s = (now - self._first_at).total_seconds()
        misbehaves = self._is_due(elapsed_s) and self.random.random() < self.behaviour.share
        self._misbehaved += misbehaves
        return self._wrong() if misbehaves else Answer(after_s=self._delay_s())

    def _is_due(self, elapsed_s: float) -> bool:
        if self.behaviour.status == 204 and self.behaviour.manner is Manner.WHOLE:
            return False
        return self._misbehaved < self.behaviour.for_requests and elapsed_s < self.behaviour.for_s

    def _wrong(self) -> Answer:
        behaviour = self.behaviour
        headers = {}
        if behaviour.retry_after_s >= 0:
            headers["Retry-After"] = f"{behaviour.retry_after_s:g}"
        if 300 <= behaviour.status < 400:
            # A place that is seen: whoever follows the redirect is caught there.
            headers["Location"] = "/sink/redirected"
        body = b"" if behaviour.status in (0, 204) else f"This place answers {behaviour.status}.".encode()
        return Answer(behaviour.status, body, headers, self._delay_s(), behaviour.manner)

    def _delay_s(self) -> float:
        slow = self.behaviour.slow_share > 0 and self.random.random() < self.behaviour.slow_share
        return (self.behaviour.slow_ms if slow else self.behaviour.delay_ms) / 1000

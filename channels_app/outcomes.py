"""What a try came to: one vocabulary for every transport.

A transport reads the answer of the far end and returns a `Verdict`; everything behind it (retry,
circuit breaker, dead letters, quarantine) reads the `Outcome` alone and never asks what kind of
channel it was. The table below is the one in `docs/lifecycle.md`; a test compares the two.

| outcome      | an attempt counts | the breaker sees | next                                                       |
|--------------|-------------------|------------------|------------------------------------------------------------|
| ok           | yes               | success          | delivered                                                  |
| transient    | yes               | failure          | retrying, or dead when attempts are used up                |
| rate_limited | no                | nothing          | scheduled, or dead when its time is up; the channel pauses |
| permanent    | yes               | nothing          | dead                                                       |
| gone         | yes               | nothing          | dead, and the channel goes into quarantine                 |
| unknown      | yes               | failure          | retrying or dead, as the channel chooses                   |

Pure: imports nothing of Django, reads no clock, does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isnan

from channels_app.plain_text import cleaned

#: Longest text of an answer that is kept with an attempt. Enough for a provider's error object.
MAX_DETAIL_CHARS = 500

#: No protocol has larger numbers for what it answers.
MAX_CODE = 99_999

#: A far end may ask us to wait, but not for ever. Ten hours is the longest pause we obey.
MAX_RETRY_AFTER_S = 10 * 3600.0


class BreakerSignal(StrEnum):
    """What the circuit breaker of the channel is told about a try."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOTHING = "nothing"


class Outcome(StrEnum):
    """What one try of a delivery came to."""

    #: The far end took responsibility (2xx, SMTP 250). A redirect is not ok: it is not followed.
    OK = "ok"
    #: It may work later: timeout, connection error, 408, 425, 5xx, SMTP 4xx.
    TRANSIENT = "transient"
    #: The far end asked us to slow down (429, or its own word for it). Waiting is not failing.
    RATE_LIMITED = "rate_limited"
    #: It will never work as it stands: other 4xx, SMTP 5xx, a message that cannot be built.
    PERMANENT = "permanent"
    #: The destination itself has ended: 410, or a provider's own "this webhook was deleted".
    GONE = "gone"
    #: It was sent, and nobody can say whether it arrived.
    UNKNOWN = "unknown"

    @property
    def counts_as_attempt(self) -> bool:
        """Whether the try uses up one of the attempts that the channel allows."""
        return self is not Outcome.RATE_LIMITED

    @property
    def breaker_signal(self) -> BreakerSignal:
        """What the circuit breaker learns from it."""
        return _BREAKER_SIGNALS.get(self, BreakerSignal.NOTHING)


_BREAKER_SIGNALS = {
    Outcome.OK: BreakerSignal.SUCCESS,
    Outcome.TRANSIENT: BreakerSignal.FAILURE,
    Outcome.UNKNOWN: BreakerSignal.FAILURE,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A transport's reading of one try.

    `code` is the far end's own number (HTTP status, SMTP reply; 0 when there was no answer),
    `detail` a short text for people without secrets in it, `retry_after_s` what the far end asked
    us to wait, in seconds, where it did. On `ok` that is what it says before it has to refuse: this
    one was taken, the next one must wait so long.
    """

    outcome: Outcome
    code: int = 0
    detail: str = ""
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.code <= MAX_CODE:
            # smtplib, for one, says -1 where there was no reply.
            object.__setattr__(self, "code", 0)
        if self.detail:
            # What a far end answers can hold NUL, which PostgreSQL refuses.
            object.__setattr__(self, "detail", cleaned(self.detail[:MAX_DETAIL_CHARS]))
        if self.retry_after_s is not None:
            # A far end can also say "nan", which is neither more nor less than anything.
            bounded = None if isnan(self.retry_after_s) else min(max(self.retry_after_s, 0.0), MAX_RETRY_AFTER_S)
            object.__setattr__(self, "retry_after_s", bounded)

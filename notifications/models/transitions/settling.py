"""f, g, h, i: what became of claimed deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from channels_app.outcomes import Outcome
from notifications.models import statement
from notifications.states import State, letter_for


class Result(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What became of one claimed delivery. `outcome` is None where it was held back and nothing was tried."""

    delivery_id: int
    token: int
    state: State
    outcome: Outcome | None = None
    code: int = 0
    detail: str = ""
    reason_code: str = ""
    reason: str = ""
    fingerprint: str = ""
    due_at: datetime
    started_at: datetime
    duration_ms: int = 0

    def __post_init__(self) -> None:
        letter_for(State.SENDING, self.state)

    def due(self, at: datetime) -> Result:
        """The same, to be taken up again at another time."""
        return msgspec.structs.replace(self, due_at=at)


# Each row is locked by its id, and what `held` holds cannot change any more. The state is asked for there alone:
# Postgres believes that hardly any row is `sending`, and where it joins by that, it compares all that are with all
# that are named.
#
# One statement moves the row, appends the attempt and buries what is dead, so that the three
# cannot disagree. Data-modifying CTEs all see the same snapshot and commit together.
#
# What was held back was not tried: the first try that its claim has entered is struck out again. `started_at` is then
# the time of that claim, so an earlier one stays, and with it the beginning of the window.
_SETTLE = """
WITH v AS (
    SELECT * FROM unnest(
        %(ids)b::int8[], %(tokens)b::int8[], %(states)b::text[], %(outcomes)b::text[], %(counts)b::int2[],
        %(codes)b::int4[], %(details)b::text[], %(reason_codes)b::text[], %(reasons)b::text[],
        %(fingerprints)b::text[], %(due_ats)b::timestamptz[], %(started_ats)b::timestamptz[],
        %(durations)b::int4[]
    ) AS v(id, token, state, outcome, counts, code, detail, reason_code, reason, fingerprint, due_at, started_at,
           duration_ms)
), held AS (
    SELECT v.* FROM (SELECT * FROM v ORDER BY id) AS v, LATERAL (
        SELECT FROM notifications_delivery d WHERE d.id = v.id AND d.token = v.token AND d.state = 'sending' FOR UPDATE
    ) AS locked
), moved AS (
    UPDATE notifications_delivery d
    SET state = v.state, attempts = d.attempts + v.counts, reason_code = v.reason_code, reason = v.reason,
        due_at = v.due_at, lease_until = NULL,
        first_attempt_at = CASE
            WHEN d.attempts + v.counts > 0 OR v.outcome <> '' OR d.first_attempt_at < v.started_at
            THEN d.first_attempt_at END,
        settled_at = CASE WHEN v.state IN ('delivered', 'dead') THEN %(now)b::timestamptz END
    FROM held v WHERE d.id = ANY(ARRAY(SELECT id FROM held)) AND d.id = v.id
    RETURNING d.id, d.channel_id, d.attempts, d.state, v.outcome, v.code, v.detail, v.fingerprint, v.started_at,
        v.duration_ms
), logged AS (
    INSERT INTO notifications_attempt (delivery_id, started_at, duration_ms, outcome, code, detail)
    SELECT id, started_at, duration_ms, outcome, code, detail FROM moved WHERE outcome <> ''
), buried AS (
    INSERT INTO notifications_deadletter
        (delivery_id, channel_id, outcome, code, detail, fingerprint, attempts, buried_at, discard_reason, decided_by)
    SELECT id, channel_id, outcome, code, detail, fingerprint, attempts, %(now)b, '', '' FROM moved WHERE state = 'dead'
)
SELECT id FROM moved
"""


def settle(results: Sequence[Result], *, now: datetime) -> frozenset[int]:
    """f, g, h, i: write what came of claimed deliveries, with their attempts and dead letters.

    Returns the ids that were written. A result whose token is no longer the row's is dropped: the
    lease ran out and someone else has the delivery.
    """
    if not results:
        return frozenset()
    rows = statement.run(
        _SETTLE,
        {
            "now": now,
            "ids": [r.delivery_id for r in results],
            "tokens": [r.token for r in results],
            "states": [r.state.value for r in results],
            "outcomes": [r.outcome.value if r.outcome else "" for r in results],
            "counts": [int(r.outcome is not None and r.outcome.counts_as_attempt) for r in results],
            "codes": [r.code for r in results],
            "details": [r.detail for r in results],
            "reason_codes": [r.reason_code for r in results],
            "reasons": [r.reason for r in results],
            "fingerprints": [r.fingerprint for r in results],
            "due_ats": [r.due_at for r in results],
            "started_ats": [r.started_at for r in results],
            "durations": [r.duration_ms for r in results],
        },
    )
    return frozenset(row.id for row in rows)

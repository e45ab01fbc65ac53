"""The buttons of a channel's gates: its breaker, its pause, its quarantine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from channels_app.breaker import State
from channels_app.models import Channel
from channels_app.volatile import Away
from notifications import channel_control
from notifications.channel_control import Standing

Act = Callable[[Channel, str, datetime], str]


@dataclass(frozen=True, slots=True)
class Control:
    """One button. `act` does it and says what came of it; `fits` says when it is offered."""

    word: str
    text: str
    hint: str
    act: Act
    fits: Callable[[Channel, Standing], bool]


def offered(channel: Channel, standing: Standing) -> list[Control]:
    """The buttons that would change something now."""
    return [control for control in CONTROLS.values() if control.fits(channel, standing)]


def press(word: str, channel: Channel, *, by: str, now: datetime) -> tuple[bool, str]:
    """Do what a button says. Returns whether it was done, and a sentence."""
    try:
        return True, CONTROLS[word].act(channel, by, now)
    except Away:
        return False, "Redis does not answer, so nothing was changed. Without it everything passes."


def _trip(channel: Channel, by: str, _now: datetime) -> str:
    channel_control.trip(channel, by=by)
    return "The breaker is open until somebody closes it: nothing is sent, everything waits."


def _reset(channel: Channel, by: str, now: datetime) -> str:
    released = channel_control.reset(channel, by=by, now=now)
    return f"The breaker is closed. Deliveries that waited for it and follow: {released}."


def _resume(channel: Channel, by: str, now: datetime) -> str:
    released = channel_control.resume(channel, by=by, now=now)
    return f"The pause is over. Deliveries that waited for it and follow: {released}."


def _restore(channel: Channel, by: str, now: datetime) -> str:
    if channel_control.restore(channel, by=by, now=now):
        return "It is back in service, and what waited follows."
    return "It is in service already."


_STOPPED = frozenset({State.OPEN, State.HALF_OPEN, State.TRIPPED})

CONTROLS = {
    control.word: control
    for control in (
        Control(
            "trip",
            "Open the breaker",
            "Send nothing until somebody closes it; everything waits",
            _trip,
            lambda _, standing: standing.is_known and standing.breaker.state is not State.TRIPPED,
        ),
        Control(
            "reset",
            "Close the breaker",
            "Forget its failures and send what waits",
            _reset,
            lambda _, standing: standing.breaker.state in _STOPPED,
        ),
        Control(
            "resume",
            "End the pause",
            "Send what waits for its end",
            _resume,
            lambda _, standing: standing.paused_until is not None,
        ),
        Control(
            "restore",
            "Bring back into service",
            "End the quarantine and send what waits",
            _restore,
            lambda channel, _: channel.quarantined_at is not None,
        ),
    )
}

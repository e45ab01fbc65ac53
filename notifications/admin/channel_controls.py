"""The buttons of a channel's gates: its breaker, its pause, its quarantine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from channels_app.breaker import State
from channels_app.models import Channel
from channels_app.volatile import Away
from notifications import channel_control
from notifications.channel_control import Standing

Act = Callable[["Press"], str]

#: How long a pause by hand may be, in seconds, and how it is called.
PAUSES: Mapping[int, str] = {
    300: "5 minutes",
    900: "15 minutes",
    3600: "an hour",
    14_400: "4 hours",
    36_000: "10 hours",
}


@dataclass(frozen=True, slots=True)
class Press:
    """A button that was pressed: on which channel, by whom, and for how long where it is a pause."""

    channel: Channel
    by: str
    now: datetime
    seconds: int = 300


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


def press(word: str, pressed: Press) -> tuple[bool, str]:
    """Do what a button says. Returns whether it was done, and a sentence."""
    try:
        return True, CONTROLS[word].act(pressed)
    except Away:
        return False, "Redis does not answer, so nothing was changed. Without it everything passes."


def _trip(pressed: Press) -> str:
    channel_control.trip(pressed.channel, by=pressed.by)
    return "The breaker is open until somebody closes it: nothing is sent, everything waits."


def _reset(pressed: Press) -> str:
    released = channel_control.reset(pressed.channel, by=pressed.by, now=pressed.now)
    return f"The breaker is closed. Deliveries that waited for it and follow: {released:,}."


def _pause(pressed: Press) -> str:
    channel_control.pause(pressed.channel, pressed.seconds, by=pressed.by)
    return f"Paused for {PAUSES.get(pressed.seconds, f'{pressed.seconds} s')}: nothing is sent, everything waits."


def _resume(pressed: Press) -> str:
    released = channel_control.resume(pressed.channel, by=pressed.by, now=pressed.now)
    return f"The pause is over. Deliveries that waited for it and follow: {released:,}."


def _restore(pressed: Press) -> str:
    if channel_control.restore(pressed.channel, by=pressed.by, now=pressed.now):
        return "It is back in service, and what waited follows."
    return "It is in service already."


_STOPPED = frozenset({State.OPEN, State.HALF_OPEN, State.TRIPPED})

CONTROLS = {
    control.word: control
    for control in (
        Control(
            "restore",
            "Bring back into service",
            "Ends the quarantine now; what waited follows within seconds. It also ends by itself, when a probe arrives "
            "or when its settings are changed.",
            _restore,
            lambda channel, _: channel.quarantined_at is not None,
        ),
        Control(
            "reset",
            "Close the breaker",
            "Forgets its failures; what waited follows within seconds.",
            _reset,
            lambda _, standing: standing.breaker.state in _STOPPED,
        ),
        Control(
            "resume",
            "End the pause",
            "What waited for its end follows within seconds.",
            _resume,
            lambda _, standing: standing.paused_until is not None,
        ),
        Control(
            "pause",
            "Pause for",
            "Nothing is sent for that time, everything waits, and no attempt is counted. Then it goes on by itself.",
            _pause,
            lambda _, standing: standing.is_known and standing.paused_until is None,
        ),
        Control(
            "trip",
            "Open the breaker",
            "Nothing is sent until somebody closes it. To stop a channel for good, switch it off.",
            _trip,
            lambda _, standing: standing.is_known and standing.breaker.state is not State.TRIPPED,
        ),
    )
}

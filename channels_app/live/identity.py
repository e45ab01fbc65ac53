"""Who is at the other end of a live connection."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

#: The longest name of a device.
MAX_DEVICE = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose feed it is, on which device, and until when (seconds since 1970; 0 where nothing bounds it).

    `secret` is what is asked again now and then whether it still counts: a session's key or a token, by `kind`.
    """

    recipient: str
    device: str
    until: float = 0.0
    kind: str = "ticket"
    secret: str = ""


def device_named(name: str) -> str:
    """The name of a device as it was given, cut to what is kept; a new one where there is none."""
    return "".join(filter(str.isprintable, name))[:MAX_DEVICE] or f"d_{secrets.token_hex(6)}"

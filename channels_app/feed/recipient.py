"""Recipients' keys: one spelling for each person, made wherever a key comes in."""

from __future__ import annotations

import re

from channels_app.feed.item import EVERYONE, MAX_RECIPIENT

#: Addresses of wallets are the same in any letter case; their owners write them as their programs do.
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]+")


class BadRecipient(ValueError):
    """A text is nobody's key. The message is a sentence that says why."""


def spelled(text: str) -> str:
    """The one spelling of a recipient's key: without white space around it; an address (`0x…`) in small letters.

    Raises `BadRecipient`.
    """
    key = text.strip()
    if not 0 < len(key) <= MAX_RECIPIENT:
        raise BadRecipient(f"A recipient's key has 1 to {MAX_RECIPIENT} characters.")
    if not key.isprintable():
        raise BadRecipient("Control characters cannot stand in a recipient's key.")
    if key == EVERYONE:
        raise BadRecipient(f"`{EVERYONE}` stands for everyone and is nobody's key.")
    return key.lower() if _ADDRESS.fullmatch(key) else key

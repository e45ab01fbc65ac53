"""Plain text on its way to a channel: cleaned of what no one can show, put on one line, made to fit.

What producers and streaming platforms send may hold anything. Transports pass every text through
here before it meets a protocol. Pure.
"""

from __future__ import annotations

import re

ELLIPSIS = "…"

_LINE_ENDS = re.compile("\r\n?")
#: All control characters but tab and line feed.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: Halves of a pair of UTF-16 that stand alone cannot be encoded.
_SURROGATES = re.compile("[\ud800-\udfff]")
#: They turn the direction of all that follows on the line, also of what is not theirs.
_DIRECTION_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")


def cleaned(text: str) -> str:
    """`text` that can be encoded, stored and shown: tabs and line feeds are its only control characters."""
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", _LINE_ENDS.sub("\n", text)))


def one_line(text: str) -> str:
    """`text` on a single line, each run of white space a single space."""
    return " ".join(_DIRECTION_OVERRIDES.sub("", cleaned(text.replace("\x85", " "))).split())


def shortened(text: str, limit: int) -> str:
    """`text` in at most `limit` characters (1 or more); one that was cut ends with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + ELLIPSIS

"""Secrets taken out of texts: a far end may repeat in its answer what it was sent.

A debug page shows the headers it got, a proxy names the URL it could not find. Such texts are kept
with attempts and shown to people, so the channel's own secrets are blotted out first. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from channels_app.base import Config, secret_fields
from channels_app.outcomes import Verdict

MASK = "***"

#: Shorter secrets, and shorter parts of one, would blot out ordinary words.
_MIN_CHARS = 6
_MIN_PART_CHARS = 16

_BREAKS = re.compile(r"[\s/?&=,;]+")


def redacted(text: str, config: Config) -> str:
    """`text` with `MASK` in place of all secrets of `config`, and of their longer parts."""
    secrets = {part for value in _secret_values(config) for part in _parts(value)}
    for secret in sorted(secrets, key=len, reverse=True):
        text = _without_beginning(text.replace(secret, MASK), secret)
    return text


def without_secrets(verdict: Verdict, config: Config) -> Verdict:
    """`verdict` with a detail that can be shown."""
    if not verdict.detail:
        return verdict
    return replace(verdict, detail=redacted(verdict.detail, config))


def _without_beginning(text: str, secret: str) -> str:
    """`text` was cut off somewhere; that may have been within `secret`."""
    for length in range(min(len(secret), len(text)), _MIN_CHARS - 1, -1):
        if text.endswith(secret[:length]):
            return text[:-length] + MASK
    return text


def _secret_values(config: Config) -> Iterator[str]:
    for name in secret_fields(type(config)):
        value = getattr(config, name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from (str(item) for item in value.values())
        elif isinstance(value, list | tuple):
            yield from map(str, value)


def _parts(secret: str) -> Iterator[str]:
    if len(secret) >= _MIN_CHARS:
        yield secret
    path = urlsplit(secret).path if "://" in secret else ""
    if len(path) >= _MIN_CHARS:
        yield path
    yield from (part for part in _BREAKS.split(secret) if len(part) >= _MIN_PART_CHARS)

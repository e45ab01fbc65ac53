"""The block of a config file that is about notifications: decoded, with every fault named by its place.

    {"notifications": {"enabled": true, "min_priority": "info", "event_types": ["stream_*"], "channels": [
        {"type": "discord", "webhook_url": "..."}]}}

JSON, or TOML where the file's name ends so. What else stands in the file is not ours and is left
alone; inside the block every key is known or is a fault. A channel has `type`, then `key`, `name`,
`enabled`, the columns of `PATIENCE`, and the settings of its transport.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from channels_app.models import PATIENCE
from notifications import catalogue, priority

_KEYS = ("enabled", "min_priority", "event_types", "channels")
_BLOCK = "notifications"


class Faulty(Exception):
    """Nothing was imported. `problems` says why, as (place in the file, sentence)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{path}: {text}" if path else text for path, text in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Entry:
    """One channel of the file. None: the file says nothing of it. `path` is its place, for faults."""

    path: str
    kind: str
    key: str | None
    name: str | None
    enabled: bool | None
    patience: dict[str, Any]
    settings: dict[str, Any]


@dataclass(slots=True)
class Block:
    """What the file says. None: nothing, so that it stays as it is."""

    enabled: bool | None = None
    min_priority: int | None = None
    event_types: list[str] | None = None
    channels: list[Entry] | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)


def read(path: Path) -> Block:
    """The block of a file. Raises `Faulty`, with all faults that can be seen without the database."""
    content = _decoded(path)
    if not isinstance(content, Mapping) or _BLOCK not in content:
        raise Faulty([("", f"{path.name} has no block `{_BLOCK}` at its top.")])
    given = content[_BLOCK]
    if not isinstance(given, Mapping):
        raise Faulty([(_BLOCK, "It must be an object.")])
    block = Block()
    for name in given:
        if name not in _KEYS:
            block.problems.append((f"{_BLOCK}.{name}", f"Unknown. Known are {', '.join(_KEYS)}."))
    _read_rules(given, block)
    _read_channels(given, block)
    if block.problems:
        raise Faulty(block.problems)
    return block


def _decoded(path: Path) -> Any:
    is_toml = path.suffix.lower() == ".toml"
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text) if is_toml else json.loads(text)
    except OSError as error:
        raise Faulty([("", f"{path} cannot be read: {error.strerror}.")]) from None
    except (ValueError, RecursionError) as error:
        # Python's words on it name the place, and hold nothing of what stands there.
        raise Faulty(
            [("", f"{path.name} is no {'TOML' if path.suffix.lower() == '.toml' else 'JSON'}: {error}.")]
        ) from None


def _read_rules(given: Mapping[str, Any], block: Block) -> None:
    block.enabled = _flag(given, _BLOCK, block)
    if "min_priority" in given:
        try:
            block.min_priority = priority.parse(given["min_priority"])
        except priority.NotAPriority as error:
            block.problems.append((f"{_BLOCK}.min_priority", str(error)))
    if "event_types" in given:
        patterns = given["event_types"]
        if isinstance(patterns, list) and all(isinstance(one, str) and 0 < len(one) <= 100 for one in patterns):
            block.event_types = [catalogue.canonical(one) for one in patterns]
        else:
            block.problems.append((f"{_BLOCK}.event_types", "It must be a list of patterns such as stream_*."))


def _read_channels(given: Mapping[str, Any], block: Block) -> None:
    if "channels" not in given:
        return
    channels = given["channels"]
    if not isinstance(channels, list):
        block.problems.append((f"{_BLOCK}.channels", "It must be a list."))
        return
    block.channels = []
    for place, entry in enumerate(channels):
        path = f"{_BLOCK}.channels[{place}]"
        if isinstance(entry, Mapping) and isinstance(entry.get("type"), str):
            block.channels.append(_entry(path, entry, block))
        else:
            block.problems.append((path, "It must be an object with a `type`."))


def _entry(path: str, given: Mapping[str, Any], block: Block) -> Entry:
    own = {"type", "key", "name", "enabled", *PATIENCE}
    texts: dict[str, str | None] = {}
    for name in ("key", "name"):
        value = given.get(name)
        texts[name] = value if isinstance(value, str) else None
        if name in given and texts[name] is None:
            block.problems.append((f"{path}.{name}", "It must be a text."))
    if not _is_list_of_codes(given.get("transient_codes", [])):
        block.problems.append((f"{path}.transient_codes", "It must be a list of whole numbers."))
    return Entry(
        path=path,
        kind=given["type"],
        key=texts["key"],
        name=texts["name"],
        enabled=_flag(given, path, block),
        patience={name: given[name] for name in PATIENCE if name in given},
        settings={name: value for name, value in given.items() if name not in own},
    )


def _is_list_of_codes(value: object) -> bool:
    return isinstance(value, list) and all(type(code) is int for code in value)


def _flag(given: Mapping[str, Any], path: str, block: Block) -> bool | None:
    value = given.get("enabled")
    if "enabled" in given and not isinstance(value, bool):
        block.problems.append((f"{path}.enabled", "It must be true or false."))
        return None
    return value

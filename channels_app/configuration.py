"""The settings of one channel on their way between people and the table.

What a person sends is checked against the transport's typed `Config`; its secret fields go into
one sealed text, the rest into plain JSON. Nothing gives a secret back: a reader sees that it is
set, and a writer who leaves it out keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from channels_app import registry
from channels_app.base import Config, fields_of, secret_fields

#: What a reader sees where a secret is set. Sent back unchanged, it keeps the secret.
MASK = "********"

_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_FIELD = re.compile(r"`(?P<field>[^`]+)`")


class InvalidConfig(ValueError):
    """A channel's settings do not fit its transport. `field` names the one at fault, `""` for all."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}" if field else text)
        self.field, self.text = field, text


def check(kind: str, settings: Mapping[str, Any]) -> Config:
    """The typed `Config` of a channel of `kind`. Raises `InvalidConfig` or `registry.UnknownKind`.

    A line end at the end of a text was copied along with it, and is left out.
    """
    texts = {name: value.rstrip("\r\n") for name, value in settings.items() if isinstance(value, str)}
    try:
        config: Config = msgspec.convert({**settings, **texts}, registry.get(kind).Config)
    except msgspec.ValidationError as error:
        fault = _named(str(error))
        raise InvalidConfig(fault.field, _in_words(fault, registry.get(kind).Config)) from None
    return config


def split(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plain and secret fields of a config, as JSON-ready mappings."""
    hidden = secret_fields(type(config))
    everything: dict[str, Any] = msgspec.to_builtins(config)
    plain = {name: value for name, value in everything.items() if name not in hidden}
    return plain, {name: value for name, value in everything.items() if name in hidden}


def masked(kind: str, plain: Mapping[str, Any], secret_names: frozenset[str]) -> dict[str, Any]:
    """What a reader may see: plain values, and `MASK` for each secret that is set."""
    known = secret_fields(registry.get(kind).Config)
    return {**plain, **dict.fromkeys(sorted(known & secret_names), MASK)}


def merged(new: Mapping[str, Any], old_secrets: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """`new` settings with the secrets they leave out, or repeat as `MASK`, taken from the old ones."""
    kept = {name: value for name, value in old_secrets.items() if name in hidden and new.get(name, MASK) == MASK}
    given = {name: value for name, value in new.items() if not (name in hidden and value == MASK)}
    return {**given, **kept}


def _named(text: str) -> InvalidConfig:
    """msgspec says where by a path at the end, or by the field's name in the sentence."""
    at = _PATH.search(text)
    if at:
        return InvalidConfig(at["path"], text[: at.start()] + ".")
    field = _FIELD.findall(text)
    return InvalidConfig(field[-1] if field else "", text + ".")


def _in_words(fault: InvalidConfig, config: type[Config]) -> str:
    """The sentence; where msgspec names a pattern, or none of the choices, what would be right instead."""
    about = {field.encode_name: field.type for field in fields_of(config)}.get(fault.field)
    said = about.extra_json_schema or {} if isinstance(about, msgspec.inspect.Metadata) else {}
    plain = about.type if isinstance(about, msgspec.inspect.Metadata) else about
    if "matching regex" in fault.text and said.get("examples"):
        return f"What is wanted looks like {said['examples'][0]!r}."
    if fault.text.startswith("Invalid enum value") and isinstance(plain, msgspec.inspect.LiteralType):
        return f"Use one of {', '.join(map(str, plain.values))}."
    return fault.text

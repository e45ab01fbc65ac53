"""A JSON object that stays text until someone looks inside.

What a producer sent passes through most deliveries unread: a webhook hands it on as it is. So the
text is kept, and decoded once, by the first who asks for a field. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


class Payload(Mapping[str, Any]):
    """The mapping that `json`, the text of a JSON object, stands for."""

    __slots__ = ("_decoded", "json")

    def __init__(self, json: str) -> None:
        self.json = json
        self._decoded: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return self._fields()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields())

    def __len__(self) -> int:
        return len(self._fields())

    def __repr__(self) -> str:
        return f"Payload({len(self.json)} characters)"

    def _fields(self) -> dict[str, Any]:
        if self._decoded is None:
            self._decoded = _decode(self.json)
        return self._decoded


def raw(data: Mapping[str, Any]) -> object:
    """What an encoder of JSON is to be given for `data`: the text itself where there is one."""
    return msgspec.Raw(data.json.encode()) if isinstance(data, Payload) else dict(data)


_decode = msgspec.json.Decoder(dict[str, Any]).decode

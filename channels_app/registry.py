"""Which kinds of channel there are: every module in `channels_app/transports/` is one.

Found by walking the package at first use, so that a new transport is a new file and nothing else.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

from channels_app import transports
from channels_app.base import BlockingTransport, HttpTransport, Transport

AnyTransport = Transport[Any]


class UnknownKind(LookupError):
    """No transport of this kind is installed."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"There is no transport of the kind {kind!r}. Installed are: {', '.join(all_kinds())}.")
        self.kind = kind


@cache
def _found() -> MappingProxyType[str, AnyTransport]:
    found: dict[str, AnyTransport] = {}
    for info in pkgutil.iter_modules(transports.__path__):
        for transport in _in_module(importlib.import_module(f"{transports.__name__}.{info.name}")):
            if transport.kind in found:
                raise ImportError(f"Two transports call themselves {transport.kind!r}.")
            found[transport.kind] = transport()
    return MappingProxyType(dict(sorted(found.items())))


def _in_module(module: ModuleType) -> list[type[AnyTransport]]:
    return [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, (HttpTransport, BlockingTransport)) and member.__module__ == module.__name__
    ]


def all_transports() -> list[AnyTransport]:
    """One instance of every transport, by kind. They hold no state, so one serves all channels."""
    return list(_found().values())


def all_kinds() -> list[str]:
    """The words that a channel's `kind` may be."""
    return list(_found())


def get(kind: str) -> AnyTransport:
    """The transport of a kind. Raises `UnknownKind`, whose text names those that exist."""
    try:
        return _found()[kind]
    except KeyError:
        raise UnknownKind(kind) from None


def forget() -> None:
    """Walk the package again at the next use: for a transport that was added while running."""
    _found.cache_clear()

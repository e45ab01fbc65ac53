"""What `apikey` and `feedkey` share: a key is shown once, when it is made, then listed, and revoked for ever."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from argparse import ArgumentTypeError
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from django.core.management.base import BaseCommand, CommandParser

from notifications import clock

Options = dict[str, Any]


#: Characters of a key's name.
_LONGEST_NAME = 100


def a_name(text: str) -> str:
    """For `add_argument(type=…)`: whose key it is."""
    if not 1 <= len(text.strip()) <= _LONGEST_NAME:
        raise ArgumentTypeError(f"use 1 to {_LONGEST_NAME} characters")
    return text.strip()


class Key(Protocol):
    """A key of whatever kind."""

    name: str

    @property
    def created_at(self) -> datetime: ...
    @property
    def revoked_at(self) -> datetime | None: ...
    def revoke(self, now: datetime) -> None: ...


class KeyCommand(BaseCommand, ABC):
    """A command whose first word says what to do: `create`, `list`, `revoke`, or what a subclass adds.

    The words are those of its parser, and for each there is a method of that name.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])(options)

    def answer(self, options: Options, value: object, text: str, *, beside: str = "") -> None:
        """Say `value` in JSON, or `text` in words, and to whoever looks on what stands `beside` it."""
        if options["json"]:
            self.stdout.write(json.dumps(value))
            return
        if text:
            self.stdout.write(text)
        if beside:
            self.stderr.write(beside)

    def list(self, options: Options) -> None:
        """Say what keys there are."""
        keys = [self.shown(key) for key in self.keys()]
        lines = [f"{self.line(key)}, {_standing(key)}" for key in keys]
        self.answer(options, keys, "\n".join(lines), beside="" if keys else "There is no key yet: `create` makes one.")

    def revoke(self, options: Options) -> None:
        """End a key; doing it twice changes nothing more."""
        key = self.named(options["key"])
        if key.revoked_at is None:
            key.revoke(clock.now())
        self.answer(options, self.shown(key), f"Revoked: {key}.")

    @abstractmethod
    def create(self, options: Options) -> None:
        """Make a key, and show what is secret about it, once."""

    @abstractmethod
    def keys(self) -> Iterable[Any]:
        """All of them."""

    @abstractmethod
    def named(self, text: str) -> Key:
        """That which somebody has named. Raises `CommandError`."""

    @abstractmethod
    def shown(self, key: Any) -> dict[str, Any]:
        """A key without what is secret about it."""

    @abstractmethod
    def line(self, key: dict[str, Any]) -> str:
        """A shown key in words."""


def add_json(*actions: CommandParser) -> None:
    """Let each of these answer in JSON."""
    for action in actions:
        action.add_argument("--json", action="store_true", help="Answer in JSON.")


def times(key: Key) -> dict[str, str | None]:
    """When a key was made, and when it was revoked."""
    revoked_at = key.revoked_at
    return {"created_at": key.created_at.isoformat(), "revoked_at": revoked_at.isoformat() if revoked_at else None}


def _standing(key: dict[str, Any]) -> str:
    return f"revoked {key['revoked_at']}" if key["revoked_at"] else f"since {key['created_at']}"

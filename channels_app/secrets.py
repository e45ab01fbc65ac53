"""Channel secrets at rest: encrypted, with the id of the key beside them.

Stored as `v1:<key id>:<Fernet token>`. The first key encrypts, all keys decrypt; so a new key is put
in front, `rotate` moves what is stored over to it, and then the old key can go. What cannot be opened
is an error that names the key id: never an empty value, never a guess.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

_VERSION = "v1"


class NoSecretKeys(Exception):
    """No key is configured, so nothing can be sealed or opened."""

    def __init__(self) -> None:
        super().__init__("No key for channel secrets. Set BELFRY_CHANNEL_KEYS to id:key (a Fernet key).")


class SecretUnreadable(Exception):
    """A stored secret cannot be opened with the keys at hand. `key_id` is the one it names, or empty."""

    def __init__(self, key_id: str, why: str) -> None:
        super().__init__(f"A channel secret cannot be opened: {why}")
        self.key_id = key_id


class SecretBox:
    """Seals mappings of secrets and opens them again.

    `keys` maps key ids to Fernet keys (32 bytes in URL-safe base64), the current one first. Raises
    `NoSecretKeys` without any, `ValueError` that names the id of a bad one.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        if not keys:
            raise NoSecretKeys
        self._fernets = {key_id: _fernet(key_id, key) for key_id, key in keys.items()}
        self._current = next(iter(self._fernets))

    def __repr__(self) -> str:
        return f"SecretBox(key ids: {', '.join(self._fernets)})"

    def seal(self, secrets: Mapping[str, Any]) -> str:
        """Encrypt a JSON-ready mapping with the current key."""
        token = self._fernets[self._current].encrypt(json.dumps(dict(secrets)).encode())
        return f"{_VERSION}:{self._current}:{token.decode()}"

    def open(self, sealed: str) -> dict[str, Any]:
        """The mapping that was sealed. Raises `SecretUnreadable`."""
        key_id, token = _parts(sealed)
        fernet = self._fernets.get(key_id)
        if fernet is None:
            raise SecretUnreadable(key_id, f"its key {key_id!r} is not in BELFRY_CHANNEL_KEYS.")
        try:
            opened: dict[str, Any] = json.loads(fernet.decrypt(token.encode()))
        except (InvalidToken, UnicodeError):
            # Whatever the cause says, it could hold part of the secret.
            raise SecretUnreadable(key_id, f"the key {key_id!r} does not fit it, or it was changed.") from None
        return opened

    def rotate(self, sealed: str) -> str:
        """The same secrets under the current key; unchanged where they already are. Raises `SecretUnreadable`."""
        key_id, _ = _parts(sealed)
        opened = self.open(sealed)
        return sealed if key_id == self._current else self.seal(opened)


def default_box() -> SecretBox:
    """The box with the keys of `settings.BELFRY_CHANNEL_KEYS` (id to key). Raises `NoSecretKeys`."""
    return _box(tuple(settings.BELFRY_CHANNEL_KEYS.items()))


@lru_cache(maxsize=4)
def _box(keys: tuple[tuple[str, str], ...]) -> SecretBox:
    return SecretBox(dict(keys))


def _fernet(key_id: str, key: str) -> Fernet:
    if not key_id or ":" in key_id:
        raise ValueError(f"The id {key_id!r} of a channel key must not be empty or hold a colon.")
    try:
        return Fernet(key)
    except ValueError:
        raise ValueError(f"The channel key {key_id!r} is not a Fernet key.") from None


def _parts(sealed: str) -> tuple[str, str]:
    version, _, rest = sealed.partition(":")
    key_id, colon, token = rest.partition(":")
    if version != _VERSION or not colon:
        raise SecretUnreadable("", "it is empty or not in the form v1:<key id>:<token>.")
    return key_id, token

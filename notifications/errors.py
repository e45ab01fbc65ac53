"""What a try of the task `deliver` can end in, by type: Celery decides by them whether to try again.

DeliveryFailed
├── TransientError     worth another try: `autoretry_for` names it
└── PermanentError     not worth one: straight to the dead letters
"""

from __future__ import annotations

from typing import Any

from notifications.held import Tried


class DeliveryFailed(Exception):
    """A try did not deliver. `tried` holds what was tried and the verdict."""

    def __init__(self, tried: Tried) -> None:
        super().__init__(f"{tried.verdict.outcome} {tried.verdict.code}: {tried.verdict.detail}")
        self.tried = tried

    def __reduce__(self) -> tuple[Any, ...]:
        # Celery gives `on_failure` the exception itself only where it could be pickled, and another one in
        # its place where not. The try stays behind: it holds a channel with its secrets.
        return _without_its_try, (type(self), str(self))


def _without_its_try(kind: type[DeliveryFailed], text: str) -> DeliveryFailed:
    failed = kind.__new__(kind)
    failed.args = (text,)
    return failed


class TransientError(DeliveryFailed):
    """It may work later."""


class PermanentError(DeliveryFailed):
    """It will never work as it stands."""

"""What must be there before Belfry serves anybody."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def refuse_without_secrets() -> None:
    """Raise `ImproperlyConfigured` when a secret is missing: rather no service than one anybody can forge."""
    needed = {
        "BELFRY_SECRET_KEY": settings.BELFRY_SECRET_KEY_SET,
        "BELFRY_CHANNEL_KEYS": bool(settings.BELFRY_CHANNEL_KEYS),
    }
    missing = [name for name, present in needed.items() if not present]
    if missing:
        raise ImproperlyConfigured(
            f"{' and '.join(missing)} must be set in the environment (docs/settings.md says how to make them); "
            "`./belfry up` makes and keeps its own."
        )

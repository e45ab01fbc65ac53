"""PostgreSQL's URL as Django's settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

#: So that settings can be imported with nothing set: nothing listens there.
NOWHERE = "postgresql://belfry@127.0.0.1:1/belfry"

#: A server that vanished without a word is noticed within seconds, and not after the two hours of TCP. Seconds,
#: but for the last, which is in milliseconds.
_NEVER_HANG = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


def database_settings(url: str) -> dict[str, Any]:
    """Django's entry for one database. The query string becomes libpq options. Raises `ValueError`."""
    parts = urlsplit(url or NOWHERE)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("DATABASE_URL must begin with postgresql://")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or 5432),
        "OPTIONS": {**_NEVER_HANG, **dict(parse_qsl(parts.query))},
        # Kept for the life of the thread: connecting anew costs more than the work.
        "CONN_MAX_AGE": None,
        # A check would be one more round trip before every request. A broken connection is replaced when it
        # shows: after the one request, task or sweep that met it. The other threads look at theirs then: `connections`.
        "CONN_HEALTH_CHECKS": False,
    }

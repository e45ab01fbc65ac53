"""The environment, read here and nowhere else.

Every variable is declared once, with its default and its meaning; `docs/settings.md` is the same
table for people, and a test compares the two. A variable is read when `read()` is called, so that a
supervisor or a test plugin can set it before Django's settings are imported.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class BadVariable(Exception):
    """A variable is set to something that cannot be understood. The message names it, not its value."""


@dataclass(frozen=True, slots=True)
class Variable(Generic[T]):
    """One environment variable. `default` is text, as it would stand in the environment."""

    name: str
    default: str
    meaning: str
    parse: Callable[[str], T]

    def read(self) -> T:
        """The parsed value; an empty variable counts as not set. Raises `BadVariable`."""
        try:
            return self.parse(os.environ.get(self.name) or self.default)
        except ValueError as error:
            # Not the value, nor the parser's words on it: it may be a secret.
            raise BadVariable(f"{self.name} is not valid. It means: {self.meaning}") from error

    def is_set(self) -> bool:
        return bool(os.environ.get(self.name))


#: Every declared variable by its name, in the order of this file.
DECLARED: dict[str, Variable[object]] = {}


def _declare(name: str, default: str, meaning: str, parse: Callable[[str], T]) -> Variable[T]:
    variable = Variable(name, default, meaning, parse)
    DECLARED[name] = variable  # type: ignore[assignment]
    return variable


def text(name: str, default: str, meaning: str) -> Variable[str]:
    return _declare(name, default, meaning, str.strip)


def integer(name: str, default: str, meaning: str) -> Variable[int]:
    return _declare(name, default, meaning, _at_least_zero)


def amount(name: str, default: str, meaning: str) -> Variable[int]:
    """An integer of which there must be at least one."""
    return _declare(name, default, meaning, _at_least_one)


def seconds(name: str, default: str, meaning: str) -> Variable[float]:
    return _declare(name, default, meaning, _positive)


def flag(name: str, default: str, meaning: str) -> Variable[bool]:
    return _declare(name, default, meaning, _yes_or_no)


def words(name: str, default: str, meaning: str) -> Variable[tuple[str, ...]]:
    return _declare(name, default, meaning, _words)


def networks(name: str, default: str, meaning: str) -> Variable[tuple[str, ...]]:
    return _declare(name, default, meaning, _networks)


def keys(name: str, default: str, meaning: str) -> Variable[dict[str, str]]:
    return _declare(name, default, meaning, _keys)


def _positive(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError("must be above zero")
    return number


def _at_least_zero(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("must not be below zero")
    return number


def _at_least_one(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("must be above zero")
    return number


def _yes_or_no(value: str) -> bool:
    answers = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    answer = answers.get(value.strip().lower())
    if answer is None:
        raise ValueError("say yes or no")
    return answer


def _words(value: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in value.split(",")) if word)


def _networks(value: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(word)) for word in _words(value))


def _keys(value: str) -> dict[str, str]:
    pairs = [word.partition(":") for word in _words(value)]
    if any(not key_id or not key for key_id, _, key in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise ValueError("must be id:key pairs with different ids")
    return {key_id: key for key_id, _, key in pairs}


def inherited(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for a child process, with `extra` on top."""
    return {**os.environ, **(extra or {})}


def fill(values: Mapping[str, str]) -> None:
    """Set those of `values` that are not set yet, for this process and its children."""
    for name, value in values.items():
        if not os.environ.get(name):
            os.environ[name] = value


def put(values: Mapping[str, str]) -> None:
    """Set `values`, for this process and its children."""
    os.environ.update(values)


# --- The engines ---------------------------------------------------------------------------------
DATABASE_URL = text("DATABASE_URL", "", "PostgreSQL, as postgresql://user:password@host:port/name. Empty: embedded.")
REDIS_URL = text("REDIS_URL", "", "Redis for breakers, limits and live hints, as redis://:password@host:port/1.")
BROKER_URL = text(
    "BROKER_URL", "", "Celery's broker: redis://, rediss://, sentinel:// or amqp://. Empty: Redis, database 0."
)
SENTINEL_MASTER = text("BELFRY_SENTINEL_MASTER", "mymaster", "Name of the master when BROKER_URL is sentinel://.")

# --- Secrets -------------------------------------------------------------------------------------
SECRET_KEY = text("BELFRY_SECRET_KEY", "", "Signs sessions and tokens. Required in production; keep it secret.")
CHANNEL_KEYS = keys(
    "BELFRY_CHANNEL_KEYS",
    "",
    "Fernet keys of channel secrets: id:key,id:key. The first encrypts. Required in production.",
)

# --- The web side --------------------------------------------------------------------------------
PUBLIC_URL = text(
    "BELFRY_PUBLIC_URL",
    "http://localhost:8000",
    "Where people reach Belfry. https:// turns on HSTS and secure cookies.",
)
ALLOWED_HOSTS = words(
    "BELFRY_ALLOWED_HOSTS", "", "Further host names that may be asked for, besides that of the public URL."
)
BEHIND_PROXY = flag("BELFRY_BEHIND_PROXY", "no", "Trust X-Forwarded-Proto. Only behind a proxy that sets it itself.")
DEBUG = flag("BELFRY_DEBUG", "no", "Django's debug pages. Never where others can reach it.")
STATIC_ROOT = text(
    "BELFRY_STATIC_ROOT", "", "Where collectstatic has put the static files. Empty: served from their sources."
)

# --- Logs ----------------------------------------------------------------------------------------
LOG_LEVEL = text("BELFRY_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.")
LOG_FORMAT = text("BELFRY_LOG_FORMAT", "auto", "json, human, or auto: human on a terminal and json elsewhere.")
NO_COLOR = text("NO_COLOR", "", "Anything: no colours in logs and on the terminal.")

# --- Requests to channels ------------------------------------------------------------------------
ALLOWED_NETWORKS = networks(
    "BELFRY_ALLOWED_NETWORKS", "", "Networks (CIDR, by comma) that channels may reach although they are not public."
)
HTTP_TIMEOUT_S = seconds("BELFRY_HTTP_TIMEOUT_S", "15", "Seconds that one request to a channel may take in all.")
HTTP_CONNECT_TIMEOUT_S = seconds("BELFRY_HTTP_CONNECT_TIMEOUT_S", "5", "Seconds that connecting to a channel may take.")
MAX_ANSWER_BYTES = amount(
    "BELFRY_MAX_ANSWER_BYTES", "65536", "Bytes of a channel's answer that are read; the rest is cut off."
)

# --- Deliveries ----------------------------------------------------------------------------------
LEASE_S = seconds("BELFRY_LEASE_S", "20", "Seconds that a worker may hold a delivery without a sign of life.")
REQUESTS_IN_FLIGHT = amount(
    "BELFRY_REQUESTS_IN_FLIGHT", "1000", "Requests that one lane of one worker has open at once."
)
RETENTION_DAYS = integer("BELFRY_RETENTION_DAYS", "30", "Days after which a notification that ended is forgotten.")
DEAD_LETTER_RETENTION_DAYS = integer(
    "BELFRY_DEAD_LETTER_RETENTION_DAYS", "90", "Days that a dead letter on which nobody decides keeps its notification."
)
SHUTDOWN_GRACE_S = seconds(
    "BELFRY_SHUTDOWN_GRACE_S", "30", "Seconds that a worker has to finish or give back what is in flight."
)

# --- Feeds ---------------------------------------------------------------------------------------
FEED_SHARDS = amount(
    "BELFRY_FEED_SHARDS", "4", "Streams of the live bus. All processes must agree, so stop them all to change it."
)
BROADCAST_ROWS = integer(
    "BELFRY_BROADCAST_ROWS",
    "10000",
    "Feed items up to which what is for everybody is written out at once; above, when each feed is looked at.",
)
FEED_READ_DAYS = integer("BELFRY_FEED_READ_DAYS", "90", "Days after which a feed item that was read is deleted.")
FEED_UNREAD_DAYS = integer("BELFRY_FEED_UNREAD_DAYS", "90", "Days after which a feed item is deleted, read or not.")
FEED_TOMBSTONE_DAYS = integer(
    "BELFRY_FEED_TOMBSTONE_DAYS", "30", "Days that a feed remembers a deletion, for clients that were away."
)

# --- Live streams --------------------------------------------------------------------------------
LIVE_URL = text(
    "BELFRY_LIVE_URL", "", "Where browsers reach the live process, without /rt. Empty: at the public URL, by a proxy."
)
LIVE_ORIGINS = words("BELFRY_LIVE_ORIGINS", "", "Further origins whose pages may open streams with their cookies.")
LIVE_TICKET_S = seconds("BELFRY_LIVE_TICKET_S", "60", "Seconds in which a ticket must be used.")
LIVE_CONNECTIONS = amount("BELFRY_LIVE_CONNECTIONS", "20000", "Live connections of one process at most.")
LIVE_CONNECTIONS_PER_RECIPIENT = amount(
    "BELFRY_LIVE_CONNECTIONS_PER_RECIPIENT", "10", "Live connections of one recipient to one process at most."
)
LIVE_ACCEPTS_PER_S = amount("BELFRY_LIVE_ACCEPTS_PER_S", "2000", "New live connections of one process a second.")
LIVE_QUEUE_EVENTS = amount("BELFRY_LIVE_QUEUE_EVENTS", "256", "Changes that wait for one slow connection at most.")
LIVE_QUEUE_BYTES = amount("BELFRY_LIVE_QUEUE_BYTES", "262144", "Bytes of changes that wait for one slow connection.")
LIVE_WINDOW = amount("BELFRY_LIVE_WINDOW", "64", "Messages to one connection without an acknowledgement at most.")
LIVE_RESEND_S = seconds("BELFRY_LIVE_RESEND_S", "10", "Seconds after which what was not acknowledged is sent again.")
LIVE_RESENDS = integer("BELFRY_LIVE_RESENDS", "5", "How often it is sent again before the connection is closed.")
LIVE_PING_S = seconds("BELFRY_LIVE_PING_S", "25", "Seconds between signs of life on a live connection.")
LIVE_PONG_S = seconds("BELFRY_LIVE_PONG_S", "10", "Seconds within which a WebSocket must answer one.")
LIVE_AUTH_S = seconds("BELFRY_LIVE_AUTH_S", "10", "Seconds within which a WebSocket must show its ticket.")
LIVE_SEND_S = seconds("BELFRY_LIVE_SEND_S", "30", "Seconds without reading after which a connection is closed.")
LIVE_LIFE_S = seconds("BELFRY_LIVE_LIFE_S", "14400", "Seconds that a live connection lasts, give or take a tenth.")
LIVE_REAUTH_S = seconds("BELFRY_LIVE_REAUTH_S", "300", "Seconds after which sessions and tokens are checked again.")
LIVE_CHECK_S = seconds("BELFRY_LIVE_CHECK_S", "25", "Seconds between comparisons of all positions with the feeds.")
LIVE_DEGRADED_CHECK_S = seconds("BELFRY_LIVE_DEGRADED_CHECK_S", "3", "The same while hints are not to be had.")
LIVE_FRAME_BYTES = amount("BELFRY_LIVE_FRAME_BYTES", "4096", "Bytes of one frame of a client at most.")
LIVE_FRAMES_PER_S = amount(
    "BELFRY_LIVE_FRAMES_PER_S", "20", "Frames of a client a second, besides acknowledgements that say something."
)
LIVE_SPREAD_S = seconds(
    "BELFRY_LIVE_SPREAD_S",
    "10",
    "Seconds over which clients come back after a shutdown, or where they were too many.",
)

# --- The page for trying things out --------------------------------------------------------------
DEMO = flag("BELFRY_DEMO", "no", "The page /demo/, where superusers send themselves notifications. ./belfry up has it.")
DEMO_WORLD = text(
    "BELFRY_DEMO_WORLD", "", "Where the mailbox and the receiver of that page are. ./belfry up --demo starts them."
)
DEMO_SMTP_PORT = integer("BELFRY_DEMO_SMTP_PORT", "0", "The port of that mailbox, on the same host.")

# --- The embedded default ------------------------------------------------------------------------
HOME = text("BELFRY_HOME", "", "Data folder of the embedded default. ./belfry sets it to .data in the checkout.")
PG_BIN = text("PG_BIN", "", "Folder of PostgreSQL's programs, 15 or newer. Empty: the wheel's, else those on the PATH.")
VALKEY_BIN = text(
    "VALKEY_BIN", "", "A valkey-server or redis-server program. Empty: the wheel's, else one on the PATH."
)
READY_FILE = text("BELFRY_READY_FILE", "", "A worker makes this file when it is ready. The supervisor sets it.")
CHROMIUM_PATH = text("CHROMIUM_PATH", "", "The browser of the browser tests. Empty: the one on the PATH.")

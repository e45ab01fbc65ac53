"""`./belfry live`: the live process, for streams of feeds."""

from __future__ import annotations

import gc
import resource
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_app.live.limits import Limits
from channels_app.live.server import listening_socket, server
from project.env import READY_FILE
from project.production import refuse_without_secrets

#: Objects that come before garbage is looked for; seconds after which a thread lets another one go on.
_YOUNG, _SWITCH_S = 10_000, 0.0005


class Command(BaseCommand):
    help = "Serve live streams of feeds (SSE, WebSocket) below /rt/, until SIGTERM. docs/live.md explains it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
        parser.add_argument("--port", type=int, default=8001, help="port to listen at (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_without_secrets()
        try:
            listening = listening_socket(options["host"], options["port"])
        except OSError as error:
            raise CommandError(
                f"cannot listen at {options['host']} port {options['port']}: {error.strerror}"
            ) from error
        _make_room()
        _keep_still()
        server(Limits.from_settings(), _say_ready).run(sockets=[listening])


def _keep_still() -> None:
    """Let nothing hold all connections up: neither a search for garbage among all objects, nor a busy thread."""
    gc.collect()
    # What has been loaded stays; it need not be looked at again and again.
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 100)
    sys.setswitchinterval(_SWITCH_S)


def _make_room() -> None:
    """Every connection is an open file."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say_ready() -> None:
    if READY_FILE.is_set():
        Path(READY_FILE.read()).touch()

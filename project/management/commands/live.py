"""`./belfry live`: the live process, for streams of feeds."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_app.live.limits import Limits
from channels_app.live.server import listening_socket, server
from project.env import READY_FILE
from project.production import refuse_without_secrets


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
        server(Limits.from_settings(), _say_ready).run(sockets=[listening])


def _make_room() -> None:
    """Every connection is an open file."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say_ready() -> None:
    if READY_FILE.is_set():
        Path(READY_FILE.read()).touch()

"""`belfry up`: everything on this machine, in the foreground, until Ctrl-C."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from project.embedded.console import Console, Follower
from project.embedded.process import StartFailed
from project.embedded.supervisor import ROOT, Supervisor
from project.env import ALLOWED_NETWORKS, DEMO_SMTP_PORT, DEMO_WORLD, HOME
from project.outside.world import World

DEFAULT_PORT = 8000
_ME = "belfry"


def main(arguments: Sequence[str]) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP. Returns the exit code. Raises `InUse`, `StartFailed`."""
    options = _parser().parse_args(arguments)
    live_port = options.live_port if options.live_port is not None else options.port and options.port + 1
    for port in (options.port, live_port):
        check_port(options.host, port)
    console = Console(sys.stdout)
    stop = _stop_on_signals()
    home = Path(HOME.read() or ROOT / ".data")
    with ExitStack() as stack:
        belfry = Supervisor(
            home=home,
            host=options.host,
            port=options.port,
            live_port=live_port,
            extra_env=to_reach(stack.enter_context(World())) if options.demo else {},
            report=console.say,
        )
        follower = Follower(belfry.home.logs, console)
        follower.begin()
        stack.callback(follower.end)
        console.say(_ME, "starting PostgreSQL, Valkey, web, live stream, workers and beat ...")
        stack.enter_context(belfry)
        _welcome(console, belfry)
        stop.wait()
        console.say(_ME, "stopping in order; Ctrl-C again kills")
    console.say(_ME, f"stopped; the data is kept in {home}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="belfry up", description="Start all of Belfry on this machine.")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="of the web side; 0 takes a free one (%(default)s)"
    )
    parser.add_argument("--live-port", type=int, help="of the live streams; 0 takes a free one (that of web, and one)")
    parser.add_argument(
        "--demo", action="store_true", help="with a mailbox and a receiver of webhooks for the page /demo/"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    return parser


def to_reach(world: World) -> dict[str, str]:
    """What lets channels reach a mailbox and a receiver on this machine, and the page know of them."""
    here = f"{World.smtp_host}/32"
    return {
        ALLOWED_NETWORKS.name: ",".join([*map(str, ALLOWED_NETWORKS.read()), here]),
        DEMO_WORLD.name: world.url,
        DEMO_SMTP_PORT.name: str(world.smtp_port),
    }


def check_port(host: str, port: int) -> None:
    """Raise `StartFailed`, with the remedy, when nothing can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise StartFailed(f"cannot listen at {host} port {port}: {os.strerror(error.errno or 0)}") from error
            raise StartFailed(
                f"port {port} is taken; choose another with --port N (live streams take the next one, or --live-port), "
                "or a free one with --port 0"
            ) from error


def _stop_on_signals() -> threading.Event:
    """The first signal ends all in order, the second at once: our children die with us."""
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    return stop


def _welcome(console: Console, belfry: Supervisor) -> None:
    console.say(_ME, f"admin      {belfry.url}/admin/")
    console.say(_ME, f"try it     {belfry.url}/demo/")
    console.say(_ME, f"API docs   {belfry.url}/api/docs/")
    console.say(_ME, f"live       {belfry.live_url}/rt/health")
    login = belfry.home.first_login()
    if login:
        console.say(_ME, f"log in as  {login[0]} with password {login[1]}")
        console.say(_ME, "           (made at random, shown until somebody has logged in; change it in the admin)")
    console.say(_ME, "Ctrl-C stops everything")

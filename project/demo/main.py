"""`belfry demo`: a recorded evening of several streamers, told, delivered, and accounted for.

Starts a Belfry of its own and a small outside world, both on loopback; sets the stage through the
API; plays the evening; waits until nothing moves any more; replays a dead letter; and draws up the
ledger from what both sides say. The exit code is 0 only when nothing is missing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import requests

from project.demo.client import Refused
from project.demo.performance import Performance
from project.demo.screen import Screen
from project.embedded.home import Home
from project.embedded.supervisor import ROOT, Supervisor
from project.env import ALLOWED_NETWORKS, HOME, LEASE_S, SHUTDOWN_GRACE_S
from project.outside import World

#: What the demo needs otherwise than a Belfry that faces the internet.
DEMO_ENV = {
    # Its far ends are on loopback, which is refused unless the operator opens it.
    ALLOWED_NETWORKS.name: "127.0.0.0/8",
    # What a killed worker held is taken up again after so many seconds. Nobody likes to watch for twenty.
    LEASE_S.name: "5",
    # In the end nothing is in flight that would need more.
    SHUTDOWN_GRACE_S.name: "1",
}


def main(arguments: Sequence[str]) -> int:
    """Run the demo. Returns the exit code. Raises `InUse`, `StartFailed`."""
    options = _parser().parse_args(arguments)
    screen = Screen(sys.stderr if options.json else sys.stdout)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return _run(options, screen)
    except KeyboardInterrupt:
        screen.say("interrupted; everything is stopped")
        return 128 + signal.SIGINT
    except (Refused, requests.RequestException) as error:
        screen.say(f"The demo got no further: {error}")
        return 1


def _run(options: argparse.Namespace, screen: Screen) -> int:
    screen.say("Starting PostgreSQL, Valkey, web, workers, beat, and a small world outside ...")
    start = time.monotonic()
    belfry = Supervisor(home=_empty_home(), port=options.port, extra_env=DEMO_ENV)
    with World(seed=options.seed) as world, belfry:
        screen.say(f"  all up after {time.monotonic() - start:.1f} s: {belfry.url}, and the world at {world.url}")
        ledger = Performance(
            belfry=belfry,
            world=world,
            screen=screen,
            seed=options.seed,
            speed=options.speed,
            kill_worker=options.kill_worker,
        ).run()
        screen.ledger(ledger)
        if options.json:
            sys.stdout.write(json.dumps(ledger.as_json()) + "\n")
            sys.stdout.flush()
        if options.stay:
            _stay(belfry, screen)
    return 0 if ledger.balances and not ledger.lost else 1


def _empty_home() -> Path:
    """A data folder of the demo's own, beside that of `belfry up`; what an earlier demo left goes. Raises `InUse`.

    Its secrets stay: a database that the environment names may hold channels that they seal.
    """
    path = Path(HOME.read() or ROOT / ".data") / "demo"
    with Home(path).locked():
        for entry in path.iterdir():
            if entry.name not in ("lock", "secrets"):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return path


def _stay(belfry: Supervisor, screen: Screen) -> None:
    screen.say()
    screen.say(f"admin      {belfry.url}/admin/")
    screen.say(f"API docs   {belfry.url}/api/docs/")
    login = belfry.home.first_login()
    if login:
        screen.say(f"log in as  {login[0]} with password {login[1]}")
    screen.say("Ctrl-C stops everything")
    with suppress(KeyboardInterrupt):
        signal.pause()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="belfry demo", description="Play a recorded evening and account for it.")
    parser.add_argument("--stay", action="store_true", help="keep running afterwards, to look around in the admin")
    parser.add_argument("--json", action="store_true", help="print the ledger alone on standard output")
    parser.add_argument("--kill-worker", action="store_true", help="kill the delivering worker in the middle")
    parser.add_argument("--seed", type=int, default=7, help="of all chance in the outside world (%(default)s)")
    parser.add_argument("--speed", type=float, default=1500.0, help="evening seconds in one second (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="of the web side; 0 takes a free one (%(default)s)")
    return parser

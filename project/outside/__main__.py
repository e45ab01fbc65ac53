"""`python -m project.outside [--port N] [--smtp-port N] [--seed N] [--tied]`: the world as its own process.

Prints one line of JSON with its addresses and runs until it is told to stop (SIGINT, SIGTERM) or,
with `--tied`, until its standard input ends: so it never outlives the process that holds the pipe.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading

from project.outside.world import World


def main(argv: list[str] | None = None) -> int:
    """Run the world; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m project.outside", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--smtp-port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tied", action="store_true", help="end when standard input ends")
    options = parser.parse_args(argv)
    with World(seed=options.seed, port=options.port, smtp_port=options.smtp_port) as world:
        print(json.dumps({"url": world.url, "smtp_host": world.smtp_host, "smtp_port": world.smtp_port}), flush=True)
        _wait(tied=options.tied)
    return 0


def _wait(*, tied: bool) -> None:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    if tied:
        threading.Thread(target=_follow_stdin, args=(stopping,), daemon=True).start()
    stopping.wait()


def _follow_stdin(stopping: threading.Event) -> None:
    sys.stdin.read()
    stopping.set()


if __name__ == "__main__":
    raise SystemExit(main())

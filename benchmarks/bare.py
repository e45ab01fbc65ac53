"""The same pump without Celery: `python -m benchmarks.bare LANE` drains a lane in this process.

Says `ready` once it is connected, begins when a line comes, ends when standard input ends.
"""

from __future__ import annotations

import sys
import threading

import django

django.setup()

from notifications import clock, draining, tasks  # noqa: E402  Django has to be set up first.
from notifications.durable_retry import declared_schedule  # noqa: E402


def main() -> None:
    declared, stop = declared_schedule(tasks.deliver), threading.Event()
    clock.now()
    print("ready", flush=True)
    sys.stdin.readline()
    threading.Thread(target=_follow_stdin, args=(stop,), daemon=True).start()
    while not stop.is_set():
        draining.drain(sys.argv[1], declared=declared, clock=clock.now, stop=stop)


def _follow_stdin(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()

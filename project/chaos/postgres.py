"""The database restarts, dies, or refuses connections."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from project import env
from project.chaos.case import Case, Scene, children
from project.embedded.postgres import NAME


def _restarted(scene: Scene) -> int:
    scene.belfry.restart_engine("postgres")
    return 0


def _killed(scene: Scene) -> int:
    scene.belfry.kill("postgres", restart=False)
    scene.belfry.start("postgres")
    return 0


def _refusing(seconds: float) -> Callable[[Scene], int]:
    """It cuts everybody off and lets nobody in for so long."""

    def fault(scene: Scene) -> int:
        with _barred(scene):
            time.sleep(seconds)
        return 0

    return fault


@contextmanager
def _barred(scene: Scene) -> Iterator[None]:
    url = scene.belfry.env[env.DATABASE_URL.name].rpartition("/")[0] + "/postgres"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS false".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (NAME,),
        )
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS true".encode())


def _frozen(scene: Scene) -> int:
    """Its disk stalls, say: everybody waits, and nobody is told."""
    server = scene.belfry.process("postgres").pid
    frozen = [server, *children(server)]  # Each session is in a process group of its own.
    for process in frozen:
        os.kill(process, signal.SIGSTOP)
    time.sleep(8)
    for process in frozen:
        os.kill(process, signal.SIGCONT)
    return 0


CASES = (
    Case(
        name="postgres-restarted",
        what="PostgreSQL is restarted in order",
        fault=_restarted,
        lasts_s=2,
    ),
    Case(
        name="postgres-killed",
        what="PostgreSQL dies and is started again",
        fault=_killed,
        lasts_s=2,
    ),
    Case(
        name="postgres-refusing",
        what="PostgreSQL refuses connections for 10 s",
        fault=_refusing(10),
        lasts_s=10,
    ),
    Case(
        name="postgres-refusing-longer",
        what="PostgreSQL refuses connections for 40 s, twice as long as a lease",
        fault=_refusing(40),
        lasts_s=40,
    ),
    Case(name="postgres-frozen", what="PostgreSQL hangs for 8 s", fault=_frozen, lasts_s=8),
)

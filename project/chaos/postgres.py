"""The database restarts, dies, or refuses connections."""

from __future__ import annotations

import time

import psycopg

from project import env
from project.chaos.case import Case, Repeats, Scene
from project.embedded.postgres import NAME


def _restarted(scene: Scene) -> int:
    scene.belfry.restart_engine("postgres")
    return scene.held_at_start


def _killed(scene: Scene) -> int:
    scene.belfry.kill("postgres", restart=False)
    scene.belfry.start("postgres")
    return scene.held_at_start


def _refusing(scene: Scene) -> int:
    """It cuts everybody off and lets nobody in for ten seconds."""
    url = scene.belfry.env[env.DATABASE_URL.name].rpartition("/")[0] + "/postgres"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS false".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (NAME,),
        )
        time.sleep(10)
        connection.execute(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS true".encode())
    return scene.held_at_start


CASES = (
    Case(
        name="postgres-restarted",
        repeats=Repeats.HELD,
        what="PostgreSQL is restarted in order",
        fault=_restarted,
        lasts_s=2,
    ),
    Case(
        name="postgres-killed",
        repeats=Repeats.HELD,
        what="PostgreSQL dies and is started again",
        fault=_killed,
        lasts_s=2,
    ),
    Case(
        name="postgres-refusing",
        repeats=Repeats.HELD,
        what="PostgreSQL refuses connections for 10 s",
        fault=_refusing,
        lasts_s=10,
    ),
)

"""The engines that the environment does not name, started together."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from project.embedded.home import Home
from project.embedded.postgres import Postgres
from project.embedded.process import StartFailed
from project.embedded.valkey import Valkey
from project.env import BROKER_URL, DATABASE_URL, REDIS_URL

ENGINE_VARIABLES = (DATABASE_URL.name, REDIS_URL.name, BROKER_URL.name)


class Engines:
    """PostgreSQL and Valkey, each only if `given` (an environment) does not say where it is.

    `environment` holds the addresses of those that are embedded.
    """

    def __init__(self, home: Home, *, given: Mapping[str, str], fast: bool = False) -> None:
        self.environment: dict[str, str] = {}
        self.by_name: dict[str, Postgres | Valkey] = {}
        if not given.get(DATABASE_URL.name):
            postgres = Postgres(home, fast=fast)
            self.by_name["postgres"] = postgres
            self.environment[DATABASE_URL.name] = postgres.url
        for_redis = {REDIS_URL.name: 1, BROKER_URL.name: 0}
        missing = {name: database for name, database in for_redis.items() if not given.get(name)}
        if missing:
            valkey = Valkey(home, fast=fast)
            self.by_name["valkey"] = valkey
            self.environment |= {name: valkey.url(database) for name, database in missing.items()}

    def start(self) -> None:
        """Start all at once. Raises `StartFailed`, with none left running."""
        failures: list[Exception] = []

        def start(engine: Postgres | Valkey) -> None:
            try:
                engine.start()
            except Exception as error:  # noqa: BLE001 - raised again below
                failures.append(error)

        threads = [threading.Thread(target=start, args=(engine,)) for engine in self.by_name.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            self.stop()
            raise StartFailed(str(failures[0])) from failures[0]

    def stop(self) -> None:
        """Stop Valkey, then PostgreSQL."""
        for engine in reversed(self.by_name.values()):
            engine.stop()

"""Real engines for a test run: once per run, in a folder that goes away, unless the environment names others.

Loaded with `-p` in pytest's options, because Django's settings are read before any conftest.py. Each
process of a parallel run gets databases of its own: pytest-django makes that of PostgreSQL, those of
Redis are told apart by number here.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from project import env
from project.embedded.engines import Engines
from project.embedded.home import Home

_IN_PARALLEL = "PYTEST_XDIST_WORKER"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Before pytest-django's own hook, which reads the settings."""
    worker = env.inherited().get(_IN_PARALLEL)
    if worker:
        env.put(_numbered(int(worker.removeprefix("gw")) + 1))
    elif not early_config.known_args_namespace.help:
        _start()
    yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a program that is not here, and say so."""
    missing = {
        "browser": None if chromium() else "no Chromium: set CHROMIUM_PATH or put one on the PATH",
        "rabbitmq": None if rabbitmq_server() else "no rabbitmq-server on the PATH",
    }
    for item in items:
        for mark, reason in missing.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def chromium() -> str | None:
    """The browser's program."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return env.CHROMIUM_PATH.read() or next(filter(None, map(shutil.which, names)), None)


def rabbitmq_server() -> str | None:
    """The broker's program. Debian puts it where only root's PATH leads."""
    return shutil.which("rabbitmq-server") or shutil.which("rabbitmq-server", path="/usr/sbin")


def _start() -> None:
    folder = Path(tempfile.mkdtemp(prefix="belfry-test-"))
    home = Home(folder)
    engines = Engines(home, given=env.inherited(), fast=True)
    # At exit, and not in a hook of pytest's: those are not called when a run fails early.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(engines.stop)
    engines.start()
    env.put(engines.environment)
    env.fill({**home.keys(), env.LOG_FORMAT.name: "human"})


def _numbered(process: int) -> dict[str, str]:
    """Two Redis databases for each process; the first two belong to a run in one process."""
    urls = {env.REDIS_URL.name: 2 * process + 1, env.BROKER_URL.name: 2 * process}
    given = env.inherited()
    return {
        name: urlunsplit(urlsplit(given[name])._replace(path=f"/{database}"))
        for name, database in urls.items()
        if given.get(name, "").startswith("redis")
    }

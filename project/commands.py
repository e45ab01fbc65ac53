"""What `./belfry COMMAND` and `python manage.py COMMAND` do: find or start the engines, then run the command.

up, demo, bench   start processes of their own (`APPLICATIONS`)
anything else     is a command of Django's or of ours, run with engines: those the environment names,
                  those of a running `belfry up`, or embedded ones for as long as the command takes
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from django.core.management import execute_from_command_line

from project import env
from project.embedded.engines import ENGINE_VARIABLES, Engines
from project.embedded.home import Home, InUse
from project.embedded.process import StartFailed

ROOT = Path(__file__).resolve().parent.parent

#: Commands with processes of their own, by the module whose `main(arguments) -> exit code` runs them.
APPLICATIONS = {"up": "project.embedded.up", "demo": "project.demo.main", "bench": "benchmarks.main"}
#: Commands that ask no engine, or bring their own.
NEED_NO_ENGINE = frozenset(
    {
        "help", "version", "chaos", "check", "collectstatic", "compilemessages", "diffsettings", "makemessages",
        "spectacular",
    }
)  # fmt: skip
_HELP = frozenset({"-h", "--help", "--version"})
#: How long a command waits for another one that holds the data folder.
_WAIT_S = 60.0


def main(arguments: Sequence[str]) -> int:
    """Run one command line; `arguments` begins with the program's name. Returns the exit code."""
    env.fill({"DJANGO_SETTINGS_MODULE": "project.settings"})
    command = arguments[1] if len(arguments) > 1 else "help"
    try:
        if command in APPLICATIONS:
            return int(import_module(APPLICATIONS[command]).main(list(arguments[2:])))
        with contextlib.nullcontext() if _needs_none(arguments) else engines_for_a_command():
            execute_from_command_line(list(arguments))
    except (InUse, StartFailed, env.BadVariable) as error:
        sys.stderr.write(f"belfry: {error}\n")
        return 1
    return 0


def _needs_none(arguments: Sequence[str]) -> bool:
    return len(arguments) < 2 or arguments[1] in NEED_NO_ENGINE or bool(_HELP.intersection(arguments[1:]))


@contextlib.contextmanager
def engines_for_a_command() -> Iterator[None]:
    """Make the engines and secrets known to this process, and embedded engines run while it is inside.

    Secrets come from the data folder only where there is one: nothing is made up on a server whose
    engines the environment names.
    """
    given = env.inherited()
    complete = all(given.get(name) for name in ENGINE_VARIABLES)
    if complete and not env.HOME.is_set():
        yield
        return
    home = default_home()
    env.fill(home.running())
    env.fill(home.keys())
    if all(env.inherited().get(name) for name in ENGINE_VARIABLES):
        yield
        return
    with home.locked(wait_s=_WAIT_S):
        engines = Engines(home, given=env.inherited())
        engines.start()
        try:
            env.put(engines.environment)
            yield
        finally:
            engines.stop()


def default_home() -> Home:
    return Home(Path(env.HOME.read() or ROOT / ".data"))

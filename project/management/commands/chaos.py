"""`./belfry chaos [case ...]`: break a running Belfry on purpose, and account for what it accepted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from project.chaos.cases import CASES
from project.chaos.main import Plan, play_all
from project.chaos.screen import Screen


class Command(BaseCommand):
    help = "Play chaos cases, each under load, and account for everything that was accepted."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("cases", nargs="*", metavar="case", help="Which ones; all when none is named.")
        parser.add_argument("--list", action="store_true", help="Show what cases there are.")
        parser.add_argument(
            "--json", action="store_true", help="Print a list with one object a case, and nothing else."
        )
        parser.add_argument("--out", type=Path, metavar="FILE", help="Add each account to it as soon as it is there.")
        parser.add_argument("--seed", type=int, default=7, help="Of all random moments (%(default)s).")
        parser.add_argument(
            "--runs", type=int, default=1, help="How often all is played, each time with the next seed (%(default)s)."
        )
        parser.add_argument("--size", type=int, default=500, help="Notifications told in a case (%(default)s).")
        parser.add_argument("--together", type=int, default=1, help="Cases that are played at a time (%(default)s).")

    def handle(self, **options: Any) -> None:
        screen = Screen(sys.stderr if options["json"] else sys.stdout, progress=sys.stderr)
        if options["list"]:
            screen.list(list(CASES.values()))
            return
        unknown = [name for name in options["cases"] if name not in CASES]
        if unknown:
            raise CommandError(f"There is no case {', '.join(unknown)}; --list shows them.")
        plan = Plan(
            cases=[CASES[name] for name in dict.fromkeys(options["cases"] or CASES)],
            **{name: options[name] for name in ("runs", "seed", "size", "together")},
        )
        sys.exit(play_all(plan, screen, out=options["out"], as_json=options["json"]))

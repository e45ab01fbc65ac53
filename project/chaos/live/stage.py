"""The stage of the live cases: engines and a live process in a folder of their own."""

from __future__ import annotations

import json

from project import env
from project.chaos.ground import Ground
from project.chaos.live.rows import Rows
from project.embedded.supervisor import Supervisor

#: What is told to everybody is never written out at once, so that the live process has to do it.
_FEEDS_WRITTEN_AT_ONCE = 0


class LiveStage(Ground):
    """A running live process. `check_s`: how often it compares positions."""

    processes = ("rt",)

    def __init__(self, *, check_s: float) -> None:
        super().__init__("chaos-live")
        self.check_s = check_s
        self._cases = 0

    def name(self, case: str) -> str:
        """A name for what a case makes: never the same twice on a stage."""
        self._cases += 1
        return f"{case}-{self._cases}"

    def _unrest(self) -> str:
        self.rows.heads([])
        return ""

    def _set_up(self) -> None:
        self.belfry = Supervisor(
            home=self.folder,
            processes=self.processes,
            own_engines=True,
            extra_env={
                env.BROADCAST_ROWS.name: str(_FEEDS_WRITTEN_AT_ONCE),
                env.LIVE_CHECK_S.name: f"{self.check_s:g}",
            },
        )
        self._stack.enter_context(self.belfry)
        self.rows = Rows(self.belfry.env[env.DATABASE_URL.name])
        key = json.loads(self.belfry.manage("feedkey", "create", "--name", "chaos", "--json").stdout)
        self.kid, self.secret = str(key["kid"]), str(key["secret"])

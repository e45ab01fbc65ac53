"""The stage of the cases: a whole Belfry in a folder of its own, a world outside, and who is told what."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

from project import env
from project.chaos.far_side import FarSide
from project.chaos.ground import Ground
from project.chaos.observer import EVER, Observer
from project.chaos.relay import Relay
from project.demo.client import Client
from project.embedded.home import Home
from project.embedded.supervisor import Supervisor
from project.roles import DELIVERING

#: Fails as long as a case lasts. Its letters die, and in nobody's way.
BROKEN, BROKEN_PLACE = "chaos-broken", "hooks/broken"
BROKEN_BEHAVIOUR = "never"
#: Takes everything, a little slowly, so that there is always something in flight. Cases may spoil it.
MAIN, MAIN_PLACE = "chaos-main", "hooks/main"
MAIN_BEHAVIOUR = "delay_ms=120,slow_share=0.05,slow_ms=600"

#: The producers' streamers, by what is configured for them.
EVERYWHERE, BY_MAIL, TO_THE_BROKEN = "chaos-everywhere", "chaos-by-mail", "chaos-to-the-broken"

_QUICK = {"retry_base_s": 0.3, "retry_cap_s": 2.0, "breaker_cooldown_s": 1.0}
#: Its breaker never opens: what it is told is to die, not to wait.
_HOPELESS = {"max_attempts": 2, "breaker_consecutive_failures": 1_000_000, "breaker_min_calls": 1_000_000}

_POLICIES: tuple[Mapping[str, Any], ...] = (
    {"scope": "global", "min_priority": "info", "event_types": ["*"], "channels": [MAIN, "chaos-quick"]},
    {"scope": "streamer", "streamer": BY_MAIL, "channels": ["chaos-mail", "chaos-lounge"]},
    {"scope": "streamer", "streamer": TO_THE_BROKEN, "channels": [BROKEN, "chaos-quick"]},
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a stage is made with. A case can only be played on the setting that it asks for."""

    #: Whether Redis is reached over a wire that can be cut.
    relayed: bool = False
    #: Seconds that a worker may hold a delivery without a sign of life; the product's own value where it counts.
    lease_s: float = 20.0
    #: A broker of somebody else's; "": Valkey.
    broker_url: str = ""


#: As the product comes, with everything in its usual place.
USUAL = Setting()


class Stage(Ground):
    """A running Belfry and its world."""

    processes = DELIVERING

    def __init__(self, setting: Setting, *, seed: int) -> None:
        super().__init__("chaos")
        self.setting, self._seed = setting, seed

    def client(self, role: str) -> Client:
        """A caller of the API. The caller closes it."""
        return Client(self.belfry.url, self.key(role))

    def key(self, role: str) -> str:
        """A new API key."""
        answer = self.belfry.manage("apikey", "create", "--name", f"chaos {role}", "--role", role, "--json")
        return str(json.loads(answer.stdout)["key"])

    def _unrest(self) -> str:
        moving = self.observer.unmoved(EVER)
        return f"{moving} still move" if moving else ""

    def _set_up(self) -> None:
        self.world = self._stack.enter_context(FarSide(seed=self._seed, log=self.folder / "outside.log"))
        more = self._over_a_relay() if self.setting.relayed else self._by_another_broker()
        self.belfry = Supervisor(
            home=self.folder,
            processes=self.processes,
            own_engines=True,
            app="project.chaos.worker",
            extra_env={
                env.ALLOWED_NETWORKS.name: "127.0.0.0/8",
                env.LEASE_S.name: f"{self.setting.lease_s:g}",
                env.HTTP_TIMEOUT_S.name: "3",
                **more,
            },
        )
        self._stack.enter_context(self.belfry)
        self.observer = Observer(self.belfry.env[env.DATABASE_URL.name])
        self._stack.callback(self.observer.close)
        self.operator = self.client("operator")
        self._stack.callback(self.operator.close)
        self.producer_key = self.key("producer")
        self._configure()

    def _over_a_relay(self) -> dict[str, str]:
        """Put a wire between Celery and its broker; what Belfry has to be told then."""
        self.relay = self._stack.enter_context(Relay(self._valkey))
        password = quote(Home(self.folder).secret("valkey-password"))
        return {env.BROKER_URL.name: f"redis://:{password}@127.0.0.1:{self.relay.port}/0"}

    def _by_another_broker(self) -> dict[str, str]:
        return {env.BROKER_URL.name: self.setting.broker_url} if self.setting.broker_url else {}

    def _valkey(self) -> tuple[str, int]:
        url = urlsplit(self.belfry.env[env.REDIS_URL.name])
        return str(url.hostname), int(url.port or 0)

    def _configure(self) -> None:
        for key in (EVERYWHERE, BY_MAIL, TO_THE_BROKEN):
            self.operator.ensure("streamers", {"key": key, "name": key, "platform": "twitch"})
        for channel in self._channels():
            self.operator.ensure("channels", {**_QUICK, **channel})
        for policy in _POLICIES:
            self.operator.ensure_policy(policy)

    def _channels(self) -> Iterator[dict[str, Any]]:
        mail = {
            "host": self.world.smtp_host,
            "port": self.world.smtp_port,
            "security": "none",
            "from_address": "bell@belfry.invalid",
            "to": ["crew@recorder.invalid"],
        }
        lounge = {"webhook_url": self.world.open_discord("lounge", per_s=50)}
        yield {"key": MAIN, "name": "Main desk", "kind": "webhook", "config": self._webhook("main", MAIN_BEHAVIOUR)}
        quick = self._webhook("quick", "delay_ms=20")
        yield {"key": "chaos-quick", "name": "Quick desk", "kind": "webhook", "config": quick}
        yield {"key": "chaos-mail", "name": "Mailing list", "kind": "email", "config": mail}
        yield {"key": "chaos-lounge", "name": "Lounge", "kind": "discord", "config": lounge}
        broken = self._webhook("broken", BROKEN_BEHAVIOUR)
        yield {"key": BROKEN, "name": "Broken desk", "kind": "webhook", "config": broken, **_HOPELESS}

    def _webhook(self, name: str, behaviour: str) -> dict[str, str]:
        secret = "whsec_" + base64.b64encode(Random(f"{self._seed} {name}").randbytes(24)).decode()
        return {"url": self.world.open_webhook(name, secret, behaviour), "secret": secret}

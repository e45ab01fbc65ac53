"""The outside world: everything that Belfry sends to, on loopback, in one thread.

    with World(seed=7) as world:
        url = world.webhook_url("whsec_...", name="ops")
        ...
        world.seen("hooks/ops")

It never touches what it is a test of: it knows HTTP, SMTP and what Discord and Standard Webhooks
document, and nothing of Belfry but how an idempotency id looks.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from project.outside.behaviour import Behaviour
from project.outside.control import Control
from project.outside.discord import Discord, Limit
from project.outside.http_server import Answer, HttpServer, Request
from project.outside.journal import Count, Journal, Received, duplicates
from project.outside.mail import Mail
from project.outside.webhooks import Webhooks


class World:
    """A running outside world, as a context manager.

    `seed` fixes every draw of chance, and with it the addresses; `port` and `smtp_port` 0 mean free
    ones; `discord_limit` is the limit of each Discord webhook that does not name its own.
    """

    smtp_host = "127.0.0.1"

    def __init__(self, *, seed: int = 0, port: int = 0, smtp_port: int = 0, discord_limit: Limit | None = None) -> None:
        self.journal = Journal()
        self.discord = Discord(self.journal, seed=seed, limit=discord_limit)
        self.webhooks = Webhooks(self.journal, seed=seed)
        self.mail = Mail(self.journal, seed=seed)
        self.port = port
        self.smtp_port = smtp_port
        control = Control(self)
        self._rooms = {
            "api": self.discord.receive,
            "hooks": self.webhooks.receive_signed,
            "sink": self.webhooks.receive,
            "void": self.webhooks.receive_and_forget,
            "do": self.webhooks.receive_as_told,
            "__seen": control.seen,
            "__counts": control.counts,
            "__open": control.open,
            "__behave": control.behave,
        }
        self._started = threading.Event()
        #: Why it could not start; told to the thread that waits for it.
        self._failure: OSError | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="outside", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    # Addresses.

    @property
    def url(self) -> str:
        """Where its HTTP places are: `http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self.port}"

    def sink_url(self, name: str = "") -> str:
        """A place that takes anything at once and answers 204; `sink/<name>` in the journal."""
        return f"{self.url}/sink/{name}".rstrip("/")

    def void_url(self, name: str = "") -> str:
        """A place that takes anything, and keeps only how many; `void/<name>` in the counts."""
        return f"{self.url}/void/{name}".rstrip("/")

    def behaving_url(self, behaviour: str, name: str = "") -> str:
        """A place that does as its own path says: `do/<behaviour>/<name>` in the journal."""
        Behaviour.parse(behaviour)
        return f"{self.url}/do/{behaviour}/{name}".rstrip("/")

    def webhook_url(self, secret: str, *, name: str = "signed", behaviour: str = "sink") -> str:
        """A place that takes only what `secret` (`whsec_<base64>`) signed: `hooks/<name>`."""
        place = self.webhooks.open(name, secret)
        self.webhooks.behave(place, Behaviour.parse(behaviour))
        return f"{self.url}/{place}"

    def discord_url(self, name: str = "general", *, limit: Limit | None = None) -> str:
        """A new webhook of the Discord: `discord/<name>`."""
        return self.url + self.discord.open(name, limit=limit)

    # Conduct.

    def behave(self, place: str, behaviour: str) -> None:
        """From now on `place` behaves so (`Behaviour.parse`), as if it had seen nothing before.

        Raises `ValueError` for a behaviour that is none and `KeyError` for an unknown Discord webhook.
        """
        parsed = Behaviour.parse(behaviour)
        name = place.strip("/")
        if name == "mail":
            self.mail.behave(parsed)
        elif name.startswith("discord/"):
            self.discord.behave(name, parsed)
        else:
            self.webhooks.behave(name, parsed)

    # What it saw.

    def seen(self, place: str = "") -> list[Received]:
        """What reached a place, by its name or URL, or everything, in order of arrival."""
        return self.journal.seen(place.removeprefix(self.url))

    def counts(self) -> dict[str, Count]:
        """How many each place took and refused."""
        return self.journal.counts()

    def duplicates(self, place: str = "") -> dict[str, int]:
        """The idempotency ids that were accepted more than once, and how often."""
        return duplicates(self.seen(place))

    # The thread.

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except OSError as error:
            self._failure = error
        finally:
            self._started.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = HttpServer(self._answer)
        self.port = await server.start(port=self.port)
        self.smtp_port = await self.mail.start(port=self.smtp_port)
        self._started.set()
        await self._stopping.wait()
        await server.stop()
        await self.mail.stop()

    def _answer(self, request: Request) -> Answer:
        room = self._rooms.get(request.path.split("/", 2)[1] if request.path.startswith("/") else "")
        return Answer(404, b"Nothing is here.") if room is None else room(request)

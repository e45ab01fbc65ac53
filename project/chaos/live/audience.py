"""`python -m project.chaos.live.audience`: all clients of a case, in one process. It is asked by `beside.Beside`.

begin    url, people, clients, kid, secret, seed   they come; answered when all are greeted, or after a minute
behind   targets                                   how far they are behind these numbers, by recipient
slow     share, on                                 every so many-th client reads slowly from now on, or does so no more
rob      client                                    somebody takes the next new item from this client
keep     path                                      what all of them have is written into a file
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import IO, Any

import msgspec
import uvloop

from channels_app import feed_tokens
from channels_app.live import tickets
from project import env
from project.chaos.live.beside import Words, take_standard_output
from project.chaos.live.listening import Client, Credential, SocketClient, StreamClient
from project.chaos.live.replica import Replica

_GREETED_WITHIN_S = 60.0
#: Others of the same machine come at the same time.
_COME_WITHIN_S = 1.0


class Audience:
    """Clients, each with a task of its own."""

    def __init__(self) -> None:
        self._clients: list[Client] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def answer(self, what: str, said: Words) -> Words:
        """Do what is asked."""
        if what == "begin":
            return await self._begin(said)
        if what == "behind":
            return self._behind(said["targets"])
        if what == "slow":
            return self._slow(said["share"], on=said["on"])
        if what == "rob":
            self._clients[said["client"]].robbed = True
            return {}
        if what == "keep":
            return self._keep(Path(said["path"]))
        raise ValueError(what)

    async def _begin(self, said: Words) -> Words:
        random = Random(said["seed"])
        self._clients = [_client(number, said, Random(random.random())) for number in range(said["clients"])]
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(_come(client)) for client in self._clients]
        give_up_at = loop.time() + _GREETED_WITHIN_S
        while not all(client.connected for client in self._clients) and loop.time() < give_up_at:
            await asyncio.sleep(0.05)
        return {"greeted": sum(client.connected for client in self._clients)}

    def _behind(self, targets: Mapping[str, int]) -> Words:
        """How many are behind, by how many changes together, and how far some are beyond."""
        leads = [client.replica.seq - targets.get(client.replica.recipient, 0) for client in self._clients]
        return {
            "clients": sum(lead < 0 for lead in leads),
            "changes": -sum(min(lead, 0) for lead in leads),
            "beyond": sum(max(lead, 0) for lead in leads),
            "connected": sum(client.connected for client in self._clients),
        }

    def _slow(self, share: int, *, on: bool) -> Words:
        slow = self._clients[::share]
        for client in slow:
            client.slow = on
        if on:
            # A connection is as wide as it was made.
            for number in range(0, len(self._clients), share):
                self._tasks[number].cancel()
                self._tasks[number] = asyncio.get_running_loop().create_task(self._clients[number].live())
        return {"people": sorted({client.replica.recipient for client in slow})}

    def _keep(self, path: Path) -> Words:
        path.write_bytes(msgspec.json.encode([client.replica for client in self._clients]))
        return {
            "connects": sum(client.connects for client in self._clients),
            "sent_away": sum(client.sent_away for client in self._clients),
        }


async def _come(client: Client) -> None:
    await asyncio.sleep(client.random.uniform(0.0, _COME_WITHIN_S))
    await client.live()


def _client(number: int, said: Words, random: Random) -> Client:
    """One of two kinds, with one of two credentials; who comes twice to the same feed is of the other kind then."""
    people: list[str] = said["people"]
    turn, place = divmod(number, len(people))
    kind = StreamClient if (place + turn) % 2 == 0 else SocketClient
    recipient = people[place]
    name = f"{'sse' if kind is StreamClient else 'ws'}-{number}"
    credential = _by_ticket(recipient) if place // 2 % 2 == 0 else _by_token(recipient, said["kid"], said["secret"])
    return kind(Replica(name=name, recipient=recipient), said["url"], credential, random)


def _by_ticket(recipient: str) -> Credential:
    return lambda: ({}, {"ticket": tickets.issue(recipient, now=datetime.now(UTC))})


def _by_token(recipient: str, kid: str, secret: str) -> Credential:
    def credential() -> tuple[Mapping[str, str], Mapping[str, str]]:
        token = feed_tokens.sign(recipient, kid=kid, secret=secret, now=datetime.now(UTC))
        return {"Authorization": f"Bearer {token}"}, {}

    return credential


async def _answer_all(answers: IO[str]) -> None:
    loop = asyncio.get_running_loop()
    questions = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    audience = Audience()
    while line := await questions.readline():
        question: dict[str, Any] = json.loads(line)
        answers.write(json.dumps(await audience.answer(question.pop("ask"), question)) + "\n")
        answers.flush()


def main() -> None:
    """Answer until standard input ends."""
    env.fill({"DJANGO_SETTINGS_MODULE": "project.settings"})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(_answer_all(take_standard_output()))


if __name__ == "__main__":
    main()

"""Receivers of webhooks: one kind checks signatures as Standard Webhooks asks, one takes anything.

The check is written from the specification and shares nothing with the code that signs, so that a
mistake there is seen here.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

from project.outside.behaviour import Behaviour, Conduct
from project.outside.chance import chance
from project.outside.http_server import Answer, Manner, Request
from project.outside.journal import Journal, Received

#: How far the sender's clock may be from ours.
TOLERANCE_S = 5 * 60
SECRET_PREFIX = "whsec_"


class SignatureError(Exception):
    """The request does not prove that the holder of the secret sent it; the text says why."""


def verify(body: bytes, headers: Mapping[str, str], secret: str, *, now: datetime) -> None:
    """Check a signed webhook. `secret` is `whsec_<base64>`. Raises `SignatureError`."""
    try:
        name, sent_at, offered = (headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise SignatureError(f"The header {missing.args[0]} is missing.") from None
    if not sent_at.isdecimal() or abs(now.timestamp() - int(sent_at)) > TOLERANCE_S:
        raise SignatureError("The timestamp is not within five minutes of now.")
    signed = b".".join((name.encode(), sent_at.encode(), body))
    digest = hmac.new(_key(secret), signed, sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}"
    if not any(hmac.compare_digest(wanted.encode(), one.encode()) for one in offered.split(" ")):
        raise SignatureError("No signature matches.")


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("A secret is whsec_ and base64.") from None


class Webhooks:
    """The places for webhooks.

    `/hooks/<name>` checks signatures, `/sink...` takes all, `/void...` takes all and keeps nothing,
    `/do/<behaviour>/...` does as its path says.
    """

    def __init__(self, journal: Journal, *, seed: int) -> None:
        self._journal = journal
        self._seed = seed
        self._secrets: dict[str, str] = {}
        self._conducts: dict[str, Conduct] = {}

    def open(self, name: str, secret: str) -> str:
        """Make the place `hooks/<name>`, which takes only what `secret` signed, and return its name."""
        _key(secret)
        place = f"hooks/{name}"
        self._secrets[place] = secret
        return place

    def behave(self, place: str, behaviour: Behaviour) -> None:
        """From now on `place` behaves like this."""
        self._conducts[place] = Conduct(behaviour, chance(self._seed, place))

    def receive_signed(self, request: Request) -> Answer:
        """Answer a request to `/hooks/<name>`."""
        place = request.path.strip("/")
        secret = self._secrets.get(place)
        if secret is None:
            return self._refuse(request, place, 404, "Nobody listens here.")
        try:
            verify(request.body, request.headers, secret, now=request.received_at)
        except SignatureError as error:
            return self._refuse(request, place, 401, str(error))
        return self._treat(request, place)

    def receive(self, request: Request) -> Answer:
        """Answer a request to a place that asks no signature."""
        return self._treat(request, request.path.strip("/"))

    def receive_and_forget(self, request: Request) -> Answer:
        """Answer a request to `/void...`: taken, counted and forgotten, for those who send millions."""
        self._journal.count(request.path.strip("/"))
        return Answer()

    def receive_as_told(self, request: Request) -> Answer:
        """Answer a request to `/do/<behaviour>/...`: the path says how."""
        place = request.path.strip("/")
        if place not in self._conducts:
            try:
                self.behave(place, Behaviour.parse(place.split("/")[1]))
            except (ValueError, IndexError) as error:
                return self._refuse(request, place, 404, str(error))
        return self._treat(request, place)

    def _treat(self, request: Request, place: str) -> Answer:
        if request.method not in ("POST", "PUT"):
            return self._refuse(request, place, 405, "Post it.")
        conduct = self._conducts.get(place)
        if conduct is None:
            self.behave(place, Behaviour())
            conduct = self._conducts[place]
        answer = conduct.answer(request.received_at)
        note = "" if answer.manner is Manner.WHOLE else answer.manner.value
        self._write(request, place, answer.status, note)
        return answer

    def _refuse(self, request: Request, place: str, status: int, why: str) -> Answer:
        self._write(request, place, status, why)
        return Answer(status, why.encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def _write(self, request: Request, place: str, status: int, note: str) -> None:
        self._journal.write(
            Received(
                place=place,
                idempotency_id=request.headers.get("webhook-id", ""),
                received_at=request.received_at,
                accepted=200 <= status < 300,
                status=status,
                body=request.body,
                note=note,
            )
        )

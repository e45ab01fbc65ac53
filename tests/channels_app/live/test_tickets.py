from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import redis
from pytest_django import Settings

from channels_app.live import tickets
from channels_app.live.tickets import BadTicket

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_a_ticket_says_whose_it_is_and_how_long() -> None:
    until = NOW + timedelta(hours=1)
    ticket = tickets.read(tickets.issue("ada", device="phone", until=until, now=NOW), now=NOW)
    assert (ticket.recipient, ticket.device, ticket.until) == ("ada", "phone", int(until.timestamp()))


def test_it_ends_after_a_minute(settings: Settings) -> None:
    settings.BELFRY_LIVE_TICKET_S = 60
    text = tickets.issue("ada", now=NOW)
    tickets.read(text, now=NOW + timedelta(seconds=59))
    with pytest.raises(BadTicket):
        tickets.read(text, now=NOW + timedelta(seconds=60))


@pytest.mark.parametrize("spoil", [lambda text: text[:-1], lambda text: "x" + text, lambda _: "", lambda _: "a:b"])
def test_what_was_changed_is_refused(spoil: object) -> None:
    with pytest.raises(BadTicket):
        tickets.read(spoil(tickets.issue("ada", now=NOW)), now=NOW)  # type: ignore[operator]


def test_it_is_good_once(bus: redis.Redis) -> None:
    first, second = (tickets.read(tickets.issue("ada", now=NOW), now=NOW) for _ in range(2))
    assert tickets.spend([first]) == [True]
    assert tickets.spend([first, second]) == [False, True]
    assert tickets.spend([second]) == [False]

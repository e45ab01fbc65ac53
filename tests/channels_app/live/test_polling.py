"""The long poll."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import httpx
import pytest
from pytest_django.fixtures import Settings

from channels_app.live import tickets
from channels_app.live.writing import StoreAway
from tests.channels_app.live.running import WITHIN_S, Running, StartsLive, eventually, now, tell


def changes(live: Running, **query: str) -> httpx.Response:
    query = {"ticket": tickets.issue("ada", now=now()), **query}
    return httpx.get(f"{live.url}/changes", params=query, timeout=30)


def test_what_there_is_comes_at_once(live: Running) -> None:
    tell("ada", "first", "second")
    answer = changes(live, after="1-1", wait="10").json()
    assert [item["title"] for item in answer["items"]] == ["second"]
    assert (answer["cursor"], answer["reset"], answer["more"]) == ("1-2", "", False)
    assert answer["state"]["unread"] == 2


def test_who_has_no_cursor_is_told_where_the_feed_stands(live: Running) -> None:
    tell("ada", "first")
    answer = changes(live, wait="10").json()
    assert (answer["items"], answer["cursor"]) == ([], "1-1")


def test_it_waits_for_the_next_change(live: Running) -> None:
    tell("ada", "first")
    live.wait_for_bus()
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(changes(live, after="1-1", wait="15").json()))
    began = time.monotonic()
    waiting.start()
    eventually(lambda: live.process.hub.knows("ada"))
    tell("ada", "second")
    waiting.join(15)
    assert time.monotonic() - began < 14
    assert [item["title"] for item in found[0]["items"]] == ["second"]


def test_it_waits_no_longer_than_it_was_asked_to(live: Running) -> None:
    tell("ada", "first")
    answer = changes(live, after="1-1", wait="0.2").json()
    assert (answer["items"], answer["cursor"]) == ([], "1-1")
    assert changes(live, after="1-1").json()["items"] == []


def test_nobody_is_expected_whose_feed_could_not_be_read(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> NoReturn:
        raise StoreAway

    monkeypatch.setattr(live.process.store, "changes", away)
    assert changes(live, after="1-1", wait="10").status_code == 503
    eventually(lambda: not live.process.hub.knows("ada"))


def test_more_polls_than_a_recipient_may_have_are_told_to_come_later(start: StartsLive) -> None:
    live = start(connections_per_recipient=2)
    live.wait_for_bus()
    tell("ada", "first")
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(changes, live, after="1-1", wait="20") for _ in range(2)]
        eventually(lambda: live.process.hub.polls == 2)
        refused = changes(live, after="1-1", wait="20")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert refused.json()["type"] == "urn:belfry:problem:connection-limit"
        assert [item["title"] for item in changes(live, after="1-0").json()["items"]] == ["first"]
        tell("ada", "second")
        for each in waiting:
            assert [item["title"] for item in each.result(WITHIN_S).json()["items"]] == ["second"]
    assert live.process.hub.polls == 0


def test_who_has_gone_waits_no_more(live: Running) -> None:
    tell("ada", "first")
    query = {"ticket": tickets.issue("ada", now=now()), "after": "1-1", "wait": "25"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{live.url}/changes", params=query, timeout=0.5)
    eventually(lambda: live.process.hub.polls == 0)


def test_who_waits_counts_as_a_connection(start: StartsLive) -> None:
    live = start(connections=1)
    live.wait_for_bus()
    tell("ada", "first")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(changes, live, after="1-1", wait="20")
        eventually(lambda: live.process.hub.polls == 1)
        assert changes(live, after="1-0").status_code == 503
        tell("ada", "second")
        assert waiting.result(WITHIN_S).status_code == 200
    assert changes(live, after="1-0").status_code == 200


def test_who_waits_while_the_process_ends_is_answered(live: Running) -> None:
    tell("ada", "first")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(changes, live, after="1-1", wait="25")
        eventually(lambda: live.process.hub.polls == 1)
        live.end()
        assert waiting.result(WITHIN_S).json()["cursor"] == "1-1"


def test_who_comes_while_the_process_ends_is_sent_on(live: Running) -> None:
    tell("ada", "first")
    live.process.hub.draining = True
    refused = changes(live, after="1-1", wait="20")
    assert (refused.status_code, live.process.hub.polls) == (503, 0)
    assert 1 <= int(refused.headers["retry-after"]) <= 11


def test_who_polls_hears_what_is_for_everyone(live: Running, settings: Settings) -> None:
    settings.BELFRY_BROADCAST_ROWS = 0
    live.wait_for_bus()
    tell("ada", "first")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(changes, live, after="1-1", wait="25")
        eventually(lambda: live.process.hub.polls == 1)
        tell("*", "for everyone")
        assert [item["title"] for item in waiting.result(WITHIN_S).json()["items"]] == ["for everyone"]


def test_what_cannot_be_read_uses_up_no_ticket(live: Running) -> None:
    tell("ada", "first")
    ticket = tickets.issue("ada", now=now())
    assert changes(live, ticket=ticket, after="x").status_code == 400
    assert changes(live, ticket=ticket, after="1-0").status_code == 200


def test_a_poll_that_is_too_many_is_told_its_turn(start: StartsLive, monkeypatch: pytest.MonkeyPatch) -> None:
    live = start(accepts_per_s=1)
    tell("ada", "first")
    frozen = time.monotonic()
    monkeypatch.setattr(live.process.hub, "_clock", lambda: frozen)
    answers = [changes(live, after="1-0") for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 503, 503, 503]
    assert [each.headers["retry-after"] for each in answers[2:]] == ["2", "3", "4"]


def test_it_comes_in_pieces(live: Running) -> None:
    tell("ada", "first", "second", "third")
    answer = changes(live, after="1-0", limit="2").json()
    assert (len(answer["items"]), answer["cursor"], answer["more"]) == (2, "1-2", True)


@pytest.mark.parametrize("query", [{"after": "x"}, {"wait": "-1"}, {"wait": "26"}, {"limit": "many"}, {"limit": "201"}])
def test_what_cannot_be_answered_is_refused(live: Running, query: dict[str, str]) -> None:
    answer = changes(live, **query)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{next(iter(query))}: ")


def test_a_page_of_anybody_may_ask_with_a_ticket(live: Running) -> None:
    asked = httpx.options(f"{live.url}/changes", headers={"origin": "https://elsewhere.example"}, timeout=WITHIN_S)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "authorization" in asked.headers["access-control-allow-headers"]
    assert httpx.get(f"{live.url}/changes", timeout=WITHIN_S).status_code == 403

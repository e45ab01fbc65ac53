"""Presence, sending away, health and metrics: over all processes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from channels_app.feed import hints
from channels_app.live.presence import Being, Seat, default_presence
from notifications.models import ApiKey
from tests.channels_app.live.running import WITHIN_S, Running, StartsLive, eventually, tell


@pytest.fixture
def operator(transactional_db: None) -> dict[str, str]:
    return {"authorization": f"Bearer {ApiKey.objects.issue('operator', role=ApiKey.Role.OPERATOR)[1]}"}


def seats(live: Running, operator: dict[str, str], *users: str) -> dict[str, list[dict[str, Any]]]:
    answer = httpx.get(f"{live.url}/presence", params={"users": ",".join(users)}, headers=operator, timeout=WITHIN_S)
    assert answer.status_code == 200
    online: dict[str, list[dict[str, Any]]] = answer.json()["online"]
    return online


def test_who_is_there_is_known_in_all_processes(start: StartsLive, operator: dict[str, str]) -> None:
    one, other = start(), start()
    with one.socket("ada", device="phone") as phone, other.stream("ada", device="desk") as desk:
        phone.until("state")
        desk.until("state")
        phone.say(t="focus", on=True)
        eventually(lambda: any(seat["focused"] for seat in seats(one, operator, "ada", "grace").get("ada", [])))
        eventually(lambda: len(seats(other, operator, "ada")["ada"]) == 2)
        found = seats(one, operator, "ada", "grace")
        assert set(found) == {"ada"}
        assert {(seat["device"], seat["transport"], seat["focused"]) for seat in found["ada"]} == {
            ("phone", "json", True),
            ("desk", "sse", False),
        }
        assert len({seat["node"] for seat in found["ada"]}) == 2


def test_who_leaves_stays_a_moment_and_a_dead_process_takes_its_own_along(bus: Any) -> None:
    presence = default_presence()
    on, gone, dead = (Seat(name, "n1", "sse", "d") for name in ("c_1", "c_2", "c_3"))
    presence.touch([("ada", on, Being.ON), ("ada", gone, Being.ON), ("ada", gone, Being.GONE), ("eve", dead, Being.ON)])
    presence.touch([("ada", on, Being.LEAVING)])
    assert presence.seats(["ada", "eve"]) == {"ada": [on], "eve": [dead]}
    assert 0 < bus.ttl("belfry:presence:eve") <= 60
    bus.zadd("belfry:presence:eve", {str(dead): 1})
    assert presence.online(["ada", "eve"]) == {"ada"}


def test_somebody_is_sent_away_wherever_they_are(start: StartsLive, operator: dict[str, str]) -> None:
    one, other = start(), start()
    one.wait_for_bus()
    other.wait_for_bus()
    with (
        one.socket("ada", device="phone") as phone,
        other.socket("ada", device="desk") as desk,
        other.stream("grace") as grace,
    ):
        phone.until("state")
        desk.until("state")
        grace.until("state")
        assert httpx.delete(f"{one.url}/connections?user=ada", headers=operator, timeout=WITHIN_S).status_code == 204
        assert phone.code() == desk.code() == 4006
        tell("grace", "first")
        assert grace.take(1)[0].id == "1-1"
    with other.mute("ada", transport="sse"):
        # Another device of theirs may come.
        eventually(lambda: len(other.process.hub.of("ada")) == 1)


def test_who_is_asked_for_may_be_written_in_any_way(live: Running, operator: dict[str, str]) -> None:
    live.wait_for_bus()
    with live.socket("0xab", device="phone") as phone:
        phone.until("state")
        eventually(lambda: set(seats(live, operator, "0xAB")) == {"0xab"})
        assert httpx.delete(f"{live.url}/connections?user=0xAB", headers=operator, timeout=WITHIN_S).status_code == 204
        assert phone.code() == 4006
    assert httpx.delete(f"{live.url}/connections?user=*", headers=operator, timeout=WITHIN_S).status_code == 400
    refused = httpx.get(f"{live.url}/presence?users=*", headers=operator, timeout=WITHIN_S)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("users: name 1 to ")


def test_one_device_is_sent_away_and_a_browser_stays_away(live: Running) -> None:
    live.wait_for_bus()
    with live.stream("ada", device="phone") as phone, live.stream("ada", device="desk") as desk:
        phone.until("state")
        desk.until("state")
        assert hints.kick("ada", "phone")
        assert '"final":true' in phone.until("bye").data
        tell("ada", "first")
        assert desk.take(1)[0].id == "1-1"
    with live.stream("ada", device="phone") as again:
        assert again.response.status_code == 204


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "presence?users=ada"), ("DELETE", "connections?user=ada"), ("GET", "metrics")]
)
def test_only_operators_may_ask(live: Running, method: str, path: str) -> None:
    producer = ApiKey.objects.issue("producer", role=ApiKey.Role.PRODUCER)[1]
    for headers in ({}, {"authorization": f"Bearer {producer}"}):
        assert httpx.request(method, f"{live.url}/{path}", headers=headers, timeout=WITHIN_S).status_code == 403
    wrong = httpx.post(f"{live.url}/{path}", timeout=WITHIN_S)
    assert (wrong.status_code, wrong.headers["allow"], wrong.json()["detail"]) == (405, method, f"Use {method}.")


def test_what_it_counts_is_told(live: Running, operator: dict[str, str]) -> None:
    with live.stream("ada") as stream:
        stream.until("state")
        text = httpx.get(f"{live.url}/metrics", headers=operator, timeout=WITHIN_S).text
    assert 'belfry_live_connections{transport="sse"} 1.0' in text


def test_health_says_how_it_hears(live: Running) -> None:
    live.wait_for_bus()
    answer = httpx.get(f"{live.url}/health", timeout=WITHIN_S)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "bus": "ok", "broker": "ok", "database": "ok", "connections": 0}

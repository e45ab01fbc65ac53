"""The world as a whole: started, asked from other processes, and gone when it is left."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from project.outside import Count, Received, World

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()


def test_it_counts_what_each_place_took_and_refused() -> None:
    with World() as world:
        for url in (world.sink_url("a"), world.sink_url("a"), world.behaving_url("never", "b")):
            requests.post(url, data=b"x")
        assert world.counts() == {"sink/a": Count(accepted=2), "do/never/b": Count(refused=1)}


def test_the_void_keeps_nothing_but_how_many() -> None:
    with World() as world:
        for _ in range(3):
            requests.post(world.void_url("a"), data=b"x")
        assert world.counts() == {"void/a": Count(accepted=3)}
        assert world.seen() == []


def test_a_place_is_found_by_its_name_its_url_and_the_room_it_is_in() -> None:
    with World() as world:
        requests.post(world.sink_url("a"), data=b"x")
        requests.post(world.sink_url("ab"), data=b"x")
        assert [len(world.seen(place)) for place in ("sink/a", world.sink_url("a"), "sink", "", "b")] == [1, 1, 2, 2, 0]


def test_what_comes_twice_is_told_by_its_id_and_only_when_it_was_taken() -> None:
    with World() as world:
        world.behave("sink/twice", "down:for_requests=1")
        for name in ("one", "one", "one", "two"):
            requests.post(world.sink_url("twice"), data=b"x", headers={"webhook-id": name})
        assert world.duplicates() == {"one": 2}


def test_nothing_is_lost_when_many_write_at_once() -> None:
    def post(number: int) -> int:
        return requests.post(url, data=b"x", headers={"webhook-id": str(number)}).status_code

    with World() as world, ThreadPoolExecutor(16) as pool:
        url = world.sink_url("many")
        assert set(pool.map(post, range(400))) == {204}
        assert {line.idempotency_id for line in world.seen("sink/many")} == {str(number) for number in range(400)}


def test_the_same_seed_makes_the_same_addresses() -> None:
    with World(seed=3) as one, World(seed=3) as same, World(seed=4) as other:
        paths = [world.discord_url("a").removeprefix(world.url) for world in (one, same, other)]
        assert paths[0] == paths[1] != paths[2]


def test_its_ports_are_closed_when_it_is_left() -> None:
    with World() as world:
        url = world.sink_url()
        requests.post(url, data=b"x")
    with pytest.raises(requests.ConnectionError):
        requests.post(url, data=b"x")


def test_a_taken_port_is_an_error_at_once() -> None:
    with World() as world, pytest.raises(OSError, match="in use"), World(port=world.port):
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The URL of a world in a process of its own."""
    command = [sys.executable, "-m", "project.outside", "--tied", "--seed", "5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.communicate()
        assert process.returncode == 0


def test_another_process_can_read_what_was_seen(elsewhere: str) -> None:
    requests.post(f"{elsewhere}/sink/far", data="ü".encode(), headers={"webhook-id": "far"})
    page = requests.get(f"{elsewhere}/__seen", params={"place": "sink/far"}).json()
    [line] = map(Received.from_json, page["lines"])
    assert (line.idempotency_id, line.body, line.accepted) == ("far", "ü".encode(), True)
    after = requests.get(f"{elsewhere}/__seen", params={"after": page["next"]}).json()
    assert after["lines"] == []


def test_another_process_can_open_places_and_change_how_they_behave(elsewhere: str) -> None:
    wish = {"kind": "discord", "name": "far", "limit": [1, 60]}
    url = requests.post(f"{elsewhere}/__open", json=wish).json()["url"]
    assert [requests.post(url, json={"content": "x"}).status_code for _ in range(2)] == [204, 429]
    wish = {"kind": "webhook", "name": "far", "secret": SECRET, "behaviour": "never"}
    signed = requests.post(f"{elsewhere}/__open", json=wish).json()["url"]
    assert requests.post(signed, data=b"x").status_code == 401
    requests.post(f"{elsewhere}/__behave", json={"place": "sink/closed", "behaviour": "gone"})
    assert requests.post(f"{elsewhere}/sink/closed", data=b"x").status_code == 410
    counts = requests.get(f"{elsewhere}/__counts").json()
    assert counts["places"]["discord/far"] == {"accepted": 1, "refused": 1}


def test_a_wish_that_makes_no_sense_is_refused(elsewhere: str) -> None:
    answer = requests.post(f"{elsewhere}/__behave", json={"place": "sink/a", "behaviour": "rude"})
    assert answer.status_code == 400

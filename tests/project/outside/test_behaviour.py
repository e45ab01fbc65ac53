"""What a place does to what reaches it; and each misbehaviour as a real client meets it."""

import time
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
import requests

from project.outside import Behaviour, World
from project.outside.behaviour import PRESETS, Conduct
from project.outside.http_server import HUGE_BYTES

START = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)


def statuses(text: str, *, seconds: list[float], seed: int = 1) -> list[int]:
    conduct = Conduct(Behaviour.parse(text), Random(seed))
    return [conduct.answer(START + timedelta(seconds=at)).status for at in seconds]


def test_a_place_that_is_down_comes_back_after_its_time() -> None:
    assert statuses("down:for_s=5", seconds=[0, 4.9, 5, 60]) == [503, 503, 204, 204]


def test_a_place_that_is_down_comes_back_after_so_many_requests() -> None:
    assert statuses("down:for_s=inf,for_requests=2", seconds=[0, 1, 2]) == [503, 503, 204]


def test_a_place_that_never_comes_back_never_does() -> None:
    assert statuses("never", seconds=[0, 3600, 10**7]) == [500, 500, 500]


def test_a_share_misbehaves_and_the_seed_says_which() -> None:
    drawn = statuses("never:share=0.25", seconds=[0] * 400)
    assert 70 < drawn.count(500) < 130
    assert drawn == statuses("never:share=0.25", seconds=[0] * 400)
    assert drawn != statuses("never:share=0.25", seconds=[0] * 400, seed=2)


def test_a_tail_is_slow_for_its_share() -> None:
    conduct = Conduct(Behaviour.parse("tail"), Random(1))
    delays = [conduct.answer(START).after_s for _ in range(2000)]
    assert set(delays) == {0.02, 3.0}
    assert 5 < delays.count(3.0) < 40


@pytest.mark.parametrize("text", ["nonsense", "down:for=5", "down:for_s=soon", "manner=rude"])
def test_a_text_that_names_no_behaviour_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Behaviour.parse(text)


def test_settings_alone_are_a_behaviour() -> None:
    assert Behaviour.parse("status=502,for_requests=3") == Behaviour(status=502, for_requests=3)


@pytest.mark.parametrize(("name", "status"), [("never", 500), ("missing", 404), ("gone", 410), ("sink", 204)])
def test_a_path_says_how_its_place_answers(world: World, name: str, status: int) -> None:
    assert requests.post(world.behaving_url(name, "path"), data=b"x").status_code == status
    assert [line.status for line in world.seen(f"do/{name}/path")] == [status]


def test_a_redirect_leads_to_where_its_followers_are_seen(world: World) -> None:
    answer = requests.post(world.behaving_url("redirect"), data=b"x", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sink/redirected")


def test_a_throttling_place_says_when_to_come_again(world: World) -> None:
    answer = requests.post(world.behaving_url("throttle:retry_after_s=7"), data=b"x")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_a_slow_place_takes_its_time(world: World) -> None:
    start = time.monotonic()
    assert requests.post(world.behaving_url("slow:delay_ms=100"), data=b"x").status_code == 204
    assert time.monotonic() - start >= 0.1


@pytest.mark.parametrize("name", ["reset", "half", "drip", "late"])
def test_what_was_taken_counts_as_taken_though_no_answer_arrives(world: World, name: str) -> None:
    with pytest.raises(requests.RequestException):
        requests.post(world.behaving_url(name, "taken"), data=b"x", headers={"webhook-id": name}, timeout=0.5)
    [line] = world.seen(f"do/{name}/taken")
    assert (line.accepted, line.idempotency_id) == (True, name)


def test_a_hanging_place_takes_nothing(world: World) -> None:
    with pytest.raises(requests.Timeout):
        requests.post(world.behaving_url("hang", "held"), data=b"x", timeout=0.2)
    assert [line.accepted for line in world.seen("do/hang/held")] == [False]


def test_a_huge_answer_is_as_long_as_it_says(world: World) -> None:
    with requests.post(world.behaving_url("huge"), data=b"x", stream=True) as answer:
        assert int(answer.headers["Content-Length"]) == HUGE_BYTES
        assert len(answer.raw.read(1_000_000)) == 1_000_000


def test_every_preset_can_be_named() -> None:
    assert all(Behaviour.parse(name) == preset for name, preset in PRESETS.items())

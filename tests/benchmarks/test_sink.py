"""The far end of the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from benchmarks.sink import Sink
from channels_app.http import AllowedNetworks, Exchanges, NoAnswer, Request, Response, Rules

RULES = Rules(allowed=AllowedNetworks.of(["127.0.0.0/8"]))


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def seconds_for(sink: Sink, path: str, *, times: int = 1, body: bytes = b"{}", timeout_s: float = 10.0) -> list[float]:
    """How long each of so many requests at once took; infinite where there was no answer."""
    began = time.monotonic()
    taken: list[float] = []
    with Exchanges[int](RULES) as exchanges:
        for number in range(times):
            headers = {"webhook-id": f"msg_{number}"}
            exchanges.start(number, Request(sink.url(path), body, headers), timeout_s=timeout_s)
        while len(taken) < times:
            for _, end in exchanges.poll(1.0):
                assert isinstance(end, NoAnswer) or end == Response(204, end.headers, b"")
                taken.append(time.monotonic() - began if isinstance(end, Response) else float("inf"))
    return taken


def test_it_counts_what_it_takes_however_large(sink: Sink) -> None:
    seconds_for(sink, "now/1", times=20)
    seconds_for(sink, "now/2", body=b"x" * 3_000_000)
    assert sink.total() == 21


def test_it_answers_as_late_as_its_path_says(sink: Sink) -> None:
    assert min(seconds_for(sink, "ms/150/1", times=5)) >= 0.15


def test_one_in_a_hundred_of_the_tail_takes_three_seconds(sink: Sink) -> None:
    taken = sorted(seconds_for(sink, "tail/1", times=300))
    assert taken[0] >= 0.02
    assert 1 <= len([each for each in taken if each >= 3]) <= 10


def test_what_hangs_never_answers(sink: Sink) -> None:
    assert seconds_for(sink, "hang/1", timeout_s=0.3) == [float("inf")]
    assert sink.total() == 1


def test_it_notes_what_arrived_when_and_tells_it_once(sink: Sink) -> None:
    before = time.time()
    seconds_for(sink, "noted/now/1", times=3)
    seconds_for(sink, "now/1")
    notes = sink.notes()
    assert sorted(message_id for message_id, _ in notes) == ["msg_0", "msg_1", "msg_2"]
    assert all(before <= at <= time.time() for _, at in notes)
    assert sink.notes() == []

"""The HTTP seam: what goes out, what comes back, connections, many at once."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_app.http import (
    Ended,
    Exchanges,
    Reason,
    Response,
    verdict_of,
)
from channels_app.outcomes import Outcome
from tests.channels_app.far_end import (
    LOOPBACK,
    NO_CONTENT,
    OK,
    Visit,
    always,
    answer,
    far_end,
    no_answer,
    post,
    send,
    silent,
)


@pytest.fixture
def exchanges() -> Iterator[Exchanges[int]]:
    with Exchanges[int](LOOPBACK) as several:
        yield several


def all_ends(exchanges: Exchanges[int], within_s: float = 10.0) -> dict[int, Ended]:
    ends: dict[int, Ended] = {}
    deadline = time.monotonic() + within_s
    while exchanges.in_flight and time.monotonic() < deadline:
        ends.update(exchanges.poll(1.0))
    return ends


def test_the_far_end_gets_what_the_request_says_and_nothing_else() -> None:
    seen: list[bytes] = []

    def keep(visit: Visit) -> None:
        while (request := visit.request()) is not None:
            seen.append(request)
            visit.answer(NO_CONTENT)

    with far_end(keep) as server:
        send(post(server.url, b'{"a":1}\0', {"Webhook-Id": "msg_1", "X-Empty": ""}))
        host = f"127.0.0.1:{server.port}".encode()
    assert seen == [
        b"POST /hooks/1 HTTP/1.1\r\nHost: " + host + b"\r\nUser-Agent: Belfry\r\n"
        b"Webhook-Id: msg_1\r\nX-Empty:\r\nContent-Length: 8\r\n\r\n" + b'{"a":1}\0'
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "PATCH", "POST"])
def test_each_method_goes_out_as_itself_on_one_handle(method: str) -> None:
    seen: list[bytes] = []

    def keep(visit: Visit) -> None:
        while (request := visit.request()) is not None:
            seen.append(request)
            visit.answer(NO_CONTENT)

    with far_end(keep) as server:
        for each in ("HEAD", method, "POST"):
            assert answer(post(server.url, b"12345", method=each)).status == 204
    assert seen[1].startswith(f"{method} /hooks/1 HTTP/1.1\r\n".encode())
    assert seen[1].endswith(b"\r\n\r\n" if method in ("GET", "HEAD") else b"\r\n\r\n12345")
    assert seen[2].startswith(b"POST ")
    assert seen[2].endswith(b"12345")


def test_a_large_body_is_sent_without_asking_first() -> None:
    with far_end(always(NO_CONTENT)) as server:
        started = time.monotonic()
        assert answer(post(server.url, b"x" * 3_000_000)).status == 204
    assert time.monotonic() - started < 0.9, "it waited for '100 Continue'"


def test_the_answer_bears_status_headers_and_body() -> None:
    raw = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nno!"
    with far_end(always(raw)) as server:
        ended = answer(post(server.url))
    assert (ended.status, ended.body, ended.truncated) == (429, b"no!", False)
    assert dict(ended.headers) == {"retry-after": "7", "x-a": "1, 2", "content-length": "3"}


def test_headers_of_an_interim_answer_are_not_those_of_the_final_one() -> None:
    with far_end(always(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK)) as server:
        ended = answer(post(server.url))
    assert (ended.status, ended.body, dict(ended.headers)) == (200, b"ok", {"content-length": "2"})


@pytest.mark.parametrize("headers", [{"a": "1\r\nb: 2"}, {"a": "1\nb: 2"}, {"a\r\nb": "1"}, {"a:b": "1"}, {"": "1"}])
def test_a_header_that_would_smuggle_another_is_refused(headers: dict[str, str]) -> None:
    with far_end(always(NO_CONTENT)) as server:
        ended = no_answer(post(server.url, headers=headers))
        assert server.visits == []
    assert (ended.reason, verdict_of(ended).outcome) == (Reason.INVALID, Outcome.PERMANENT)


@pytest.mark.parametrize("url", ["", "not a url", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:70/_x"])
def test_what_is_not_http_is_refused(url: str) -> None:
    ended = no_answer(post(url))
    assert (ended.reason, ended.sent, verdict_of(ended).outcome) == (Reason.INVALID, False, Outcome.PERMANENT)


def test_a_connection_is_kept_for_the_next_request() -> None:
    with far_end(always(OK)) as server:
        for _ in range(5):
            answer(post(server.url))
        assert len(server.visits) == 1


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    def answer_once(visit: Visit) -> None:
        visit.request()
        visit.answer(OK)

    with far_end(answer_once) as server:
        for _ in range(3):
            assert answer(post(server.url)).body == b"ok"
            time.sleep(0.05)
        assert len(server.visits) == 3


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_kept_connection_that_ends_on_the_next_request_is_tried_once_more(ending: str) -> None:
    def end_on_the_second(visit: Visit) -> None:
        visit.request()
        visit.answer(OK)
        if visit.request() is not None and visit.number == 1:
            if ending == "reset":
                visit.reset()
            return
        visit.answer(OK)

    with far_end(end_on_the_second) as server:
        assert answer(post(server.url)).body == b"ok"
        assert answer(post(server.url)).body == b"ok"
        assert len(server.visits) == 2


def test_a_fresh_connection_that_ends_is_not_tried_again() -> None:
    def hang_up(visit: Visit) -> None:
        visit.request()

    with far_end(hang_up) as server:
        ended = no_answer(post(server.url))
        assert len(server.visits) == 1
    assert (ended.reason, ended.sent, ended.connection_was_reused) == (Reason.RESET, True, False)


def test_a_kept_connection_that_dies_within_the_answer_is_not_tried_again() -> None:
    def die_within_the_second(visit: Visit) -> None:
        visit.request()
        visit.answer(OK)
        visit.request()
        visit.answer(b"HTTP/1.1 200 OK\r\nX-A: ")

    with far_end(die_within_the_second) as server:
        answer(post(server.url))
        ended = no_answer(post(server.url))
        assert len(server.visits) == 1
    assert (ended.reason, ended.sent, ended.connection_was_reused) == (Reason.RESET, True, True)


def test_sockets_are_not_handed_to_child_processes() -> None:
    with far_end(always(OK)) as server, Exchanges[int](LOOPBACK) as exchanges:
        exchanges.start(1, post(server.url), timeout_s=5)
        all_ends(exchanges)
        peers = f":{server.port:04X} "
        ours = [line.split()[9] for line in Path("/proc/self/net/tcp").read_text().splitlines() if peers in line]
        links = [fd for fd in Path("/proc/self/fd").iterdir() if _inode(fd) in ours]
        assert links
        flags = [Path(f"/proc/self/fdinfo/{fd.name}").read_text() for fd in links]
        assert all(int(text.split("flags:")[1].split()[0], 8) & 0o2000000 for text in flags)


def _inode(fd: Path) -> str:
    with contextlib.suppress(OSError):
        return str(fd.readlink()).removeprefix("socket:[").removesuffix("]")
    return ""


def test_requests_are_in_flight_at_the_same_time(exchanges: Exchanges[int]) -> None:
    together = threading.Barrier(20, timeout=5)

    def wait_for_the_others(visit: Visit) -> None:
        while visit.request() is not None:
            together.wait()
            visit.answer(OK)

    with far_end(wait_for_the_others) as server:
        for number in range(20):
            exchanges.start(number, post(server.url), timeout_s=5)
        assert exchanges.in_flight == 20
        ends = all_ends(exchanges)
    assert sorted(ends) == list(range(20))
    assert all(isinstance(end, Response) and end.status == 200 for end in ends.values())
    assert exchanges.in_flight == 0


def test_answers_are_not_mixed_up(exchanges: Exchanges[int]) -> None:
    def echo(visit: Visit) -> None:
        while (request := visit.request()) is not None:
            body = request.partition(b"\r\n\r\n")[2]
            visit.answer(b"HTTP/1.1 200 OK\r\nX-Body: %b\r\nContent-Length: %d\r\n\r\n%b" % (body, len(body), body))

    with far_end(echo) as server:
        for number in range(500):
            exchanges.start(number, post(server.url, b"n%d" % number), timeout_s=10)
            if exchanges.in_flight >= 25:
                for tag, end in exchanges.poll(1.0):
                    assert isinstance(end, Response)
                    assert end.body == b"n%d" % tag == end.headers["x-body"].encode()
        assert all(isinstance(end, Response) and end.body == b"n%d" % tag for tag, end in all_ends(exchanges).items())


def test_a_slow_one_does_not_hold_up_the_others(exchanges: Exchanges[int]) -> None:
    with far_end(silent) as server, far_end(always(OK)) as quick:
        exchanges.start(0, post(server.url), timeout_s=5)
        exchanges.start(1, post(quick.url), timeout_s=5)
        assert [tag for tag, _ in exchanges.poll(3.0)] == [1]
        assert exchanges.in_flight == 1


def test_poll_waits_no_longer_than_it_was_told(exchanges: Exchanges[int]) -> None:
    started = time.monotonic()
    assert exchanges.poll(0.1) == []
    assert 0.09 < time.monotonic() - started < 0.5


def test_another_thread_can_wake_a_poll(exchanges: Exchanges[int]) -> None:
    threading.Timer(0.05, exchanges.wake).start()
    started = time.monotonic()
    assert exchanges.poll(10.0) == []
    assert time.monotonic() - started < 5


def test_a_wake_before_the_poll_is_not_lost(exchanges: Exchanges[int]) -> None:
    exchanges.wake()
    started = time.monotonic()
    assert exchanges.poll(10.0) == []
    assert time.monotonic() - started < 5
    assert exchanges.poll(0.01) == []


def test_closing_with_requests_in_flight_is_quiet() -> None:
    with far_end(silent) as server:
        exchanges = Exchanges[int](LOOPBACK)
        exchanges.start(0, post(server.url), timeout_s=5)
        exchanges.poll(0.1)
        exchanges.close()


def test_a_connection_that_ends_between_requests_costs_no_time(exchanges: Exchanges[int]) -> None:
    def answer_once(visit: Visit) -> None:
        visit.request()
        visit.answer(OK)

    with far_end(answer_once) as server:
        exchanges.start(1, post(server.url), timeout_s=5)
        all_ends(exchanges)
        before_s = time.thread_time()
        exchanges.poll(0.5)
        assert time.thread_time() - before_s < 0.1


def test_nothing_of_a_request_that_ended_is_kept(exchanges: Exchanges[int]) -> None:
    with far_end(always(OK)) as server:
        for number in range(3):
            exchanges.start(number, post(server.url), timeout_s=5)
            all_ends(exchanges)
    [handle] = exchanges._pool
    assert (handle.tag, handle._lines, handle._chunks, handle._body_bytes) == (None, [], [], 0)


FORK = """
import os, sys
from channels_app.http import AllowedNetworks, Request, Rules, exchange

def send():
    rules = Rules(allowed=AllowedNetworks.of(["127.0.0.0/8"]))
    return exchange(Request(sys.argv[1], b"", {}), timeout_s=5, rules=rules).status

assert send() == 200
child = os.fork()
if child == 0:
    os._exit(0 if send() == 200 else 1)
assert os.waitpid(child, 0)[1] == 0
assert send() == 200
"""


def test_a_forked_child_leaves_its_parents_connections_alone() -> None:
    with far_end(always(OK)) as server:
        subprocess.run([sys.executable, "-c", FORK, server.url], check=True, timeout=30)
        assert len(server.visits) == 2


def test_an_interrupted_exchange_does_not_answer_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with far_end(always(b"HTTP/1.1 500 Old\r\nContent-Length: 0\r\n\r\n")) as old, far_end(always(OK)) as new:

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Exchanges, "poll", interrupt)
            with pytest.raises(KeyboardInterrupt):
                send(post(old.url))
        assert answer(post(new.url)).status == 200

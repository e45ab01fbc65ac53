"""The HTTP seam: whatever a far end does, it costs a bounded time and a bounded memory."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import replace

import pycurl
import pytest

from channels_app.http import (
    Exchanges,
    NoAnswer,
    Reason,
    verdict_of,
)
from channels_app.outcomes import Outcome
from tests.channels_app.far_end import (
    LOOPBACK,
    NO_CONTENT,
    Visit,
    always,
    answer,
    far_end,
    no_answer,
    post,
    send,
)


def test_a_redirect_is_not_followed() -> None:
    with far_end(always(NO_CONTENT)) as target:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {target.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with far_end(always(moved)) as server:
            assert answer(post(server.url)).status == 302
        assert target.visits == []


def test_a_huge_answer_is_bounded_in_memory_and_time() -> None:
    def pour(visit: Visit) -> None:
        visit.request()
        visit.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(100):
            visit.answer(b"x" * 1_000_000)

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with far_end(pour) as server:
        started = time.monotonic()
        ended = answer(post(server.url))
    assert time.monotonic() - started < 1
    assert (ended.status, len(ended.body), ended.truncated) == (200, 64 * 1024, True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 20_000


def test_a_body_of_exactly_the_limit_is_whole() -> None:
    with far_end(always(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789")) as server:
        assert not answer(post(server.url), rules=replace(LOOPBACK, max_answer_bytes=10)).truncated
        cut = answer(post(server.url), rules=replace(LOOPBACK, max_answer_bytes=9))
    assert (cut.body, cut.truncated) == (b"012345678", True)


def test_a_compressed_answer_is_not_blown_up() -> None:
    with far_end(always(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb")) as server:
        assert answer(post(server.url)).body == b"bomb"


def test_endless_headers_are_bounded() -> None:
    def babble(visit: Visit) -> None:
        visit.request()
        visit.answer(b"HTTP/1.1 200 OK\r\n")
        while not server.stopped.is_set():
            visit.answer(b"X-A: " + b"y" * 10_000 + b"\r\n")

    with far_end(babble) as server:
        started = time.monotonic()
        ended = no_answer(post(server.url))
    assert time.monotonic() - started < 3
    assert ended.reason in (Reason.RESET, Reason.GARBAGE)


def test_endless_interim_answers_are_bounded() -> None:
    def hint(visit: Visit) -> None:
        visit.request()
        while not server.stopped.is_set():
            visit.answer((b"HTTP/1.1 103 Hints\r\nLink: " + b"y" * 1000 + b"\r\n\r\n") * 50)

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with far_end(hint) as server:
        assert isinstance(send(post(server.url), timeout_s=2), NoAnswer)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 50_000


def test_headers_that_never_end_are_a_timeout() -> None:
    def drip_a_header(visit: Visit) -> None:
        visit.request()
        visit.answer(b"HTTP/1.1 200 OK\r\nX: ")
        while not server.stopped.wait(0.1):
            visit.answer(b"y")

    with far_end(drip_a_header) as server:
        started = time.monotonic()
        ended = no_answer(post(server.url), timeout_s=0.6)
    assert 0.5 < time.monotonic() - started < 2
    assert (ended.reason, ended.sent) == (Reason.TIMEOUT, True)
    assert verdict_of(ended).outcome is Outcome.TRANSIENT


def test_a_body_of_a_byte_at_a_time_counts_as_the_answer_its_status_line_was() -> None:
    def drip(visit: Visit) -> None:
        visit.request()
        visit.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.stopped.wait(0.1):
            visit.answer(b"y")

    with far_end(drip) as server:
        started = time.monotonic()
        ended = answer(post(server.url), timeout_s=0.6)
    assert 0.5 < time.monotonic() - started < 2
    assert (ended.status, ended.truncated) == (200, True)
    assert 0 < len(ended.body) < 10


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_half_an_answer_counts_as_the_answer_its_status_line_was(ending: str) -> None:
    def break_off(visit: Visit) -> None:
        visit.request()
        visit.answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\nhalf")
        time.sleep(0.05)
        if ending == "reset":
            visit.reset()

    with far_end(break_off) as server:
        ended = answer(post(server.url))
    assert (ended.status, ended.body, ended.truncated) == (503, b"half", True)


def test_an_answer_cut_within_its_headers_is_none() -> None:
    def break_off(visit: Visit) -> None:
        visit.request()
        visit.answer(b"HTTP/1.1 200 OK\r\nContent-Le")

    with far_end(break_off) as server:
        assert no_answer(post(server.url)).sent


def test_what_one_request_left_behind_is_not_seen_by_the_next() -> None:
    def first_half_then_nothing(visit: Visit) -> None:
        visit.request()
        if visit.number == 1:
            visit.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    with far_end(first_half_then_nothing) as server:
        assert answer(post(server.url)).body == b"half"
        assert no_answer(post(server.url)).reason is Reason.RESET


@pytest.mark.parametrize("answered", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"<html>"])
def test_an_answer_that_is_not_http_is_none(answered: bytes) -> None:
    def speak(visit: Visit) -> None:
        visit.request()
        visit.answer(answered)

    with far_end(speak) as server:
        ended = no_answer(post(server.url))
    assert verdict_of(ended).outcome is Outcome.TRANSIENT
    assert ended.reason is Reason.GARBAGE


def test_a_refused_connection_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ended = no_answer(post(f"http://127.0.0.1:{port}/"))
    assert (ended.reason, ended.sent, ended.connection_was_reused) == (Reason.REFUSED, False, False)
    assert verdict_of(ended).outcome is Outcome.TRANSIENT


def test_a_host_that_takes_no_connection_is_given_up_in_the_connect_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        started = time.monotonic()
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        ended = no_answer(post(url), timeout_s=5, rules=replace(LOOPBACK, connect_timeout_s=0.3))
    assert time.monotonic() - started < 2
    assert (ended.reason, ended.sent) == (Reason.TIMEOUT, False)


def test_a_name_without_an_address_is_told_as_such() -> None:
    ended = no_answer(post("http://nobody.invalid/"))
    assert (ended.reason, ended.sent, verdict_of(ended).outcome) == (Reason.DNS, False, Outcome.TRANSIENT)


def test_a_request_under_way_takes_little_memory() -> None:
    """A worker has thousands of them: each keeps what it needs, and no buffer for one a hundred times as large."""
    allocated_bytes, count = _allocated_by_glibc(), 300
    with socket.create_server(("127.0.0.1", 0), backlog=count) as listener, Exchanges[int](LOOPBACK) as exchanges:
        request = post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * 500)
        before = allocated_bytes()
        for number in range(count):
            exchanges.start(number, request, timeout_s=30)
        while not all(handle.curl.getinfo(pycurl.REQUEST_SIZE) for handle in exchanges._all):
            exchanges.poll(0.01)
        assert (allocated_bytes() - before) / count < 40_000


class _Mallinfo2(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    )


def _allocated_by_glibc() -> Callable[[], int]:
    """Asks how many bytes are allocated, small Python objects aside. Skips the test where nobody can tell."""
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        pytest.skip("this C library does not tell what is allocated")
    mallinfo2.restype = _Mallinfo2
    return lambda: int((figures := mallinfo2()).uordblks + figures.hblkhd)

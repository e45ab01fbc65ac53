"""The HTTP seam, against real sockets on loopback."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from channels_app.http import (
    AllowedNetworks,
    Ended,
    Exchanges,
    NoAnswer,
    Reason,
    Request,
    Response,
    Rules,
    exchange,
    verdict_of,
)
from channels_app.outcomes import Outcome
from tests.channels_app.far_end import Visit, always, far_end

LOOPBACK = Rules(allowed=AllowedNetworks.of(["127.0.0.0/8", "::1/128"]))
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CANARY = "canary-4f1e"


def post(url: str, body: bytes = b"{}", headers: dict[str, str] | None = None, method: str = "POST") -> Request:
    return Request(url, body, headers or {"content-type": "application/json"}, method)


def send(request: Request, *, timeout_s: float = 5.0, rules: Rules = LOOPBACK) -> Ended:
    return exchange(request, timeout_s=timeout_s, rules=rules)


def answer(request: Request, *, timeout_s: float = 5.0, rules: Rules = LOOPBACK) -> Response:
    ended = send(request, timeout_s=timeout_s, rules=rules)
    assert isinstance(ended, Response), ended
    return ended


def no_answer(request: Request, *, timeout_s: float = 5.0, rules: Rules = LOOPBACK) -> NoAnswer:
    ended = send(request, timeout_s=timeout_s, rules=rules)
    assert isinstance(ended, NoAnswer), ended
    return ended


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


# --- What goes out and what comes back.


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


# --- Connections.


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


# --- Many at once.


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
    with far_end(lambda visit: server.stopped.wait(5) and None) as server, far_end(always(OK)) as quick:
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
    with far_end(lambda visit: server.stopped.wait(5) and None) as server:
        exchanges = Exchanges[int](LOOPBACK)
        exchanges.start(0, post(server.url), timeout_s=5)
        exchanges.poll(0.1)
        exchanges.close()


def test_an_interrupted_exchange_does_not_answer_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with far_end(always(b"HTTP/1.1 500 Old\r\nContent-Length: 0\r\n\r\n")) as old, far_end(always(OK)) as new:

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Exchanges, "poll", interrupt)
            with pytest.raises(KeyboardInterrupt):
                send(post(old.url))
        assert answer(post(new.url)).status == 200


# --- Bounds.


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


# --- Where requests may go.


LOOPBACK_SPELLINGS = """
    127.0.0.1 localhost 0x7f.1 2130706433 017700000001 127.1 0 [::1] [::ffff:127.0.0.1] [::ffff:7f00:1]
    [64:ff9b::7f00:1] 127.0.0.1. ①②⑦.0.0.1
"""


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS.split())
def test_our_own_machine_is_out_of_reach_in_whatever_way_it_is_written(host: str) -> None:
    with far_end(always(OK)) as server:
        ended = no_answer(post(f"http://{host}:{server.port}/"), rules=Rules())
        assert server.visits == []
    assert ended.reason in (Reason.BLOCKED, Reason.DNS, Reason.INVALID)
    if host[0] not in "①1" or host == "127.0.0.1":
        assert ended.reason is Reason.BLOCKED
        assert verdict_of(ended).outcome is Outcome.PERMANENT


def test_what_the_operator_opens_can_be_reached_by_name() -> None:
    with far_end(always(OK)) as server:
        assert answer(post(f"http://localhost:{server.port}/")).status == 200


def test_an_opened_and_a_closed_address_of_one_name_lead_to_the_opened_one() -> None:
    with far_end(always(OK)) as server:
        only_v4 = Rules(allowed=AllowedNetworks.of(["127.0.0.0/8"]))
        assert answer(post(f"http://localhost:{server.port}/"), rules=only_v4).status == 200


def test_the_settings_say_what_is_open(settings: Settings) -> None:
    with far_end(always(OK)) as server:
        settings.BELFRY_ALLOWED_NETWORKS = []
        blocked = exchange(post(server.url), timeout_s=5)
        settings.BELFRY_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        opened = exchange(post(server.url), timeout_s=5)
    assert isinstance(blocked, NoAnswer)
    assert isinstance(opened, Response)


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with far_end(always(OK)) as proxy, far_end(always(NO_CONTENT)) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with Exchanges[int](LOOPBACK) as exchanges:
            exchanges.start(1, post(server.url), timeout_s=5)
            ends = all_ends(exchanges)
        assert isinstance(ends[1], Response)
        assert ends[1].status == 204
        assert proxy.visits == []


def test_no_password_of_a_netrc_file_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {CANARY}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with far_end(always(OK)) as server:
        seen: list[bytes | None] = []
        server._behaviour = lambda visit: seen.append(visit.request())
        send(post(server.url))
    assert seen
    assert b"Authorization" not in (seen[0] or b"")


def test_a_cookie_is_not_kept() -> None:
    seen: list[bytes] = []

    def bake(visit: Visit) -> None:
        while (request := visit.request()) is not None:
            seen.append(request)
            visit.answer(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    with far_end(bake) as server:
        for _ in range(2):
            send(post(server.url))
    assert b"ookie" not in seen[1]


# --- TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that vouches for itself, and a server's context with it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "far end")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "cert.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    secret = folder / "key.pem"
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return pem, context


def test_tls_works_with_a_trusted_authority_and_the_connection_is_kept(authority: tuple[Path, ssl.SSLContext]) -> None:
    pem, context = authority
    trusting = replace(LOOPBACK, ca_file=str(pem))
    with far_end(always(OK), tls=context) as server:
        for _ in range(3):
            assert answer(post(server.url), rules=trusting).body == b"ok"
        assert len(server.visits) == 1


def test_a_certificate_of_nobody_we_trust_is_refused(authority: tuple[Path, ssl.SSLContext]) -> None:
    with far_end(always(OK), tls=authority[1]) as server:
        ended = no_answer(post(server.url))
    assert (ended.reason, ended.sent) == (Reason.TLS, False)
    assert "certificate" in ended.detail
    assert verdict_of(ended).outcome is Outcome.TRANSIENT


def test_a_certificate_for_another_name_is_refused(authority: tuple[Path, ssl.SSLContext]) -> None:
    pem, context = authority
    with far_end(always(OK), tls=context) as server:
        other_name = f"https://localhost:{server.port}/"
        ended = no_answer(post(other_name), rules=replace(LOOPBACK, ca_file=str(pem)))
    assert ended.reason is Reason.TLS


# --- Secrets.


def test_nothing_that_is_shown_holds_the_secret_of_a_url() -> None:
    with far_end(lambda visit: None) as server:
        urls = [
            f"http://127.0.0.1:{server.port}/{CANARY}?{CANARY}",
            f"http://user:{CANARY}@127.0.0.1:1/",
            f"http://127.0.0.1:99999/{CANARY}",
            f"http://[{CANARY}/",
            f"{CANARY}://127.0.0.1/",
            f"http://127.0.0.1/{CANARY} with spaces\n",
            f"http://nobody.invalid/{CANARY}",
        ]
        for url in urls:
            request = post(url, CANARY.encode(), {"authorization": CANARY})
            ended = send(request, timeout_s=2)
            assert isinstance(ended, NoAnswer), url
            assert CANARY not in repr(ended) + str(ended) + repr(verdict_of(ended)) + repr(request)


def test_an_answers_headers_are_not_shown_by_value() -> None:
    with far_end(always(f"HTTP/1.1 204 No\r\nX-Token: {CANARY}\r\n\r\n".encode())) as server:
        assert CANARY not in repr(answer(post(server.url)).headers)

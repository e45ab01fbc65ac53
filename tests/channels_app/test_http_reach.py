"""The HTTP seam: where requests may go, whom they trust, and what they give away."""

from __future__ import annotations

import ssl
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
    Exchanges,
    NoAnswer,
    Reason,
    Response,
    Rules,
    exchange,
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
)

CANARY = "canary-4f1e"


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
            [(_, ended)] = exchanges.poll(5.0)
        assert isinstance(ended, Response)
        assert ended.status == 204
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

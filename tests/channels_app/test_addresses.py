"""Which addresses a channel may reach."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from channels_app.addresses import AllowedNetworks, default_networks, is_public

NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
    168.63.129.16 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1
    192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
    240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
    64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:1::808:808 100::1 2001::1 2001:db8::1 2001:10::1 2002:7f00:1::
    2002:808:808:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1
    4000::1
"""

PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 172.15.255.255
    172.32.0.0 192.0.1.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 2606:4700::1111
    2a00:1450:4001::1 2001:4860:4860::8888 64:ff9b::808:808 ::ffff:8.8.8.8
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_what_only_we_could_reach_is_refused(address: str) -> None:
    assert not AllowedNetworks().permits(address)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_what_anybody_can_reach_is_permitted(address: str) -> None:
    assert AllowedNetworks().permits(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_means_the_same_however_it_is_written(address: IPv4Address) -> None:
    mapped = ip_address(f"::ffff:{address}")
    translated = IPv6Address(int(IPv6Address("64:ff9b::")) + int(address))
    assert is_public(address) == is_public(mapped) == is_public(translated)


@given(st.ip_addresses(v=4))
def test_we_refuse_whatever_python_calls_private(address: IPv4Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_loopback:
        assert not is_public(address)


@pytest.mark.parametrize(
    ("network", "opened", "still_closed"),
    [
        ("127.0.0.0/8", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"], ["10.0.0.1", "::1"]),
        ("10.1.0.0/16", ["10.1.2.3"], ["10.2.0.0", "127.0.0.1"]),
        ("fd00::/8", ["fd12::1"], ["fc00::1", "::1", "10.0.0.1"]),
        ("192.168.1.7", ["192.168.1.7"], ["192.168.1.8"]),
    ],
)
def test_the_operator_opens_a_network_and_nothing_beside_it(
    network: str, opened: list[str], still_closed: list[str]
) -> None:
    allowed = AllowedNetworks.of([network])
    assert all(allowed.permits(address) for address in opened)
    assert not any(allowed.permits(address) for address in still_closed)
    assert allowed.permits("8.8.8.8")


def test_a_wrong_network_is_named() -> None:
    with pytest.raises(ValueError, match="loopback"):
        AllowedNetworks.of(["127.0.0.0/8", "loopback"])


def test_the_default_is_what_the_settings_say(settings: Settings) -> None:
    settings.BELFRY_ALLOWED_NETWORKS = []
    assert default_networks() == AllowedNetworks()
    settings.BELFRY_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    assert default_networks() == AllowedNetworks.of(["127.0.0.0/8"])

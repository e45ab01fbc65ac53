"""Which networks a channel may reach: the public internet, and what the operator has opened.

Whoever can write a channel's URL could otherwise make Belfry knock on doors that only Belfry can
reach: the database next to it, the router, the cloud's metadata service. The check is made on the
address that is about to be connected to (`channels_app/http.py`), never on the name, so a name
that changes its address between a check and its use gains nothing.

The lists follow the IANA registries of special-purpose addresses (RFC 6890 and its updates). They
stand here and not in `ipaddress.is_global`, because that answer differs between versions of Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network, the unspecified address
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # public by its number, but Azure's own agent on every machine there
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

#: Everything else in IPv6 is unassigned, local, multicast or a way of writing an IPv4 address.
_UNICAST_V6 = IPv6Network("2000::/3")

_NOT_PUBLIC_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: a tunnel to whatever IPv4 address is written into it
        "3fff::/20",  # documentation
    )
)

#: DNS64 (RFC 6052) writes public IPv4 addresses like this where a machine has IPv6 alone.
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether `address` is one that anybody on the internet could reach as well."""
    meant = _meant(address)
    if isinstance(meant, IPv4Address):
        return not any(meant in network for network in _NOT_PUBLIC_V4)
    return meant in _UNICAST_V6 and not any(meant in network for network in _NOT_PUBLIC_V6)


@dataclass(frozen=True, slots=True)
class AllowedNetworks:
    """The networks that the operator opens beside the public internet."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> AllowedNetworks:
        """From texts like `127.0.0.0/8` or `fd00::/8`. Raises `ValueError` that names a wrong one."""
        return cls(tuple(ip_network(text.strip()) for text in texts))

    def permits(self, address: str) -> bool:
        """Whether a connection to `address` (a literal, with or without a zone) may be opened."""
        literal = ip_address(address.partition("%")[0])
        return is_public(literal) or self._opens(literal)

    def _opens(self, address: Address) -> bool:
        meant = _meant(address)
        return any(address in network or meant in network for network in self.networks)


def default_networks() -> AllowedNetworks:
    """What the setting `BELFRY_ALLOWED_NETWORKS` opens."""
    return AllowedNetworks.of(settings.BELFRY_ALLOWED_NETWORKS)


def _meant(address: Address) -> Address:
    """The address that packets to `address` end at: IPv4 where IPv6 is only a way to write it."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address

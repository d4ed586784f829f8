"""Who really asks, where proxies that the configuration trusts stand between.

A proxy tells in `Forwarded` (RFC 7239), or in `X-Forwarded-For`, `-Proto` and `-Host`, for whom it
asks and under which name. Anybody can send these headers, so they count only from a trusted
proxy, and only as far back as the last trusted one in the list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from websockets.datastructures import Headers

# What lies between the separators; a quoted text that does not end goes on to the end, so that the
# time taken grows with the length only.
QUOTED = r'"(?:[^"\\]|\\.)*+(?:"|\\?$)'
ELEMENT = re.compile(rf'(?:[^,"]|{QUOTED})++')
PAIR = re.compile(rf'(?:[^;"]|{QUOTED})++')
ABOUT_CLIENTS = ("Forwarded", "X-Forwarded-For")


@dataclass(frozen=True, slots=True)
class Asker:
    """The client's address, the name it asks for, and by which scheme."""

    address: str
    host: str
    scheme: str


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy tells of whoever asked it; empty where it says nothing."""

    address: str
    host: str
    scheme: str


class Proxies:
    """The trusted ones: addresses and networks."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = [ip_network(one, strict=False) for one in trusted]

    def trusts(self, address: str) -> bool:
        """Whether what comes from this address is believed."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._trusted)

    def asker(self, peer: str, scheme: str, headers: Headers) -> Asker:
        """Whoever asks through the connection from ``peer``, which came by ``scheme``."""
        found = Asker(peer, headers.get("Host", ""), scheme)
        hops = _hops(headers) if self.trusts(peer) else []
        while hops and self.trusts(found.address):
            hop = hops.pop()
            address = _address(hop.address)
            host, scheme = hop.host or found.host, hop.scheme or found.scheme
            if address is None:  # hidden, which is no reason not to believe the rest
                return Asker(found.address, host, scheme)
            found = Asker(address, host, scheme)
        return found


def is_network(text: str) -> bool:
    """Whether ``text`` is an address, or a network like ``10.0.0.0/8``."""
    try:
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
    except ValueError:
        return False
    return network is not None


def is_about_a_client(headers: Headers) -> bool:
    """Whether a proxy seems to have sent these."""
    return any(name in headers for name in ABOUT_CLIENTS)


def _hops(headers: Headers) -> list[_Hop]:
    """What the proxies say, the nearest last.

    A proxy writes one of the two forms and hands on the other as the client sent it. Which one is
    its own nobody knows here: where they name different clients neither is believed.
    """
    standard, customary = _standard(headers), _customary(headers)
    if standard and customary and _address(standard[-1].address) != _address(customary[-1].address):
        return []
    return standard or customary


def _standard(headers: Headers) -> list[_Hop]:
    told = ",".join(headers.get_all("Forwarded"))
    found = (dict(_pairs(element)) for element in ELEMENT.findall(told))
    return [_Hop(p.get("for", ""), p.get("host", ""), _scheme(p.get("proto"))) for p in found]


def _customary(headers: Headers) -> list[_Hop]:
    addresses, hosts, schemes = (
        [part.strip() for part in ",".join(headers.get_all(f"X-Forwarded-{name}")).split(",")]
        for name in ("For", "Host", "Proto")
    )
    if addresses == [""]:
        return []
    # The lists of names and schemes may be shorter: of one proxy of several.
    pad = len(addresses)
    hosts, schemes = ([*[one[0]] * (pad - len(one)), *one][-pad:] for one in (hosts, schemes))
    return [_Hop(a, h, _scheme(s)) for a, h, s in zip(addresses, hosts, schemes, strict=True)]


def _pairs(element: str) -> list[tuple[str, str]]:
    parts = (pair.partition("=") for pair in PAIR.findall(element))
    return [(name.strip().lower(), _unquoted(value.strip())) for name, _, value in parts]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _scheme(told: str | None) -> str:
    return told.lower() if told and told.lower() in ("http", "https") else ""


def _address(text: str) -> str | None:
    """An address without its port, as ``192.0.2.1``, ``192.0.2.1:80`` or ``[2001:db8::1]:80``."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)

"""How many places one client may take, so that there is always one for the next.

A client is a token and an address, or an address alone where no token is needed. It may hold at
most a fixed share of the places that others leave free: alone three quarters of all, and beside
another that has taken as much three sevenths. So the next one finds a place, and two more
after it, without anybody having to leave. Within a token the same holds for its addresses.
(Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998.)
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

NETWORK_BITS = 64  # of an IPv6 address: one client has all that begin alike, and may change its own
NAT64 = IPv6Network("64:ff9b::/96")  # clients of IPv4, each by its own address (RFC 6052)
SHARE = 0.75  # of the places that others leave, at most
Client = tuple[str, ...]  # from the widest name to the narrowest: token, address


def counted_by(address: str) -> str:
    """What an address is counted by: itself, or of IPv6 the network that one client has."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    if found in NAT64:
        return str(IPv4Address(int(found) & 0xFFFF_FFFF))
    return str(IPv6Network((int(found), NETWORK_BITS), strict=False))


class Shares:
    """``limit`` places and who holds them."""

    def __init__(self, limit: int, share: float = SHARE) -> None:
        self._limit, self._share = limit, share
        self._held: Counter[Client] = Counter()

    def __len__(self) -> int:
        return self._held[()]

    @property
    def full(self) -> bool:
        """Whether every place is taken."""
        return len(self) >= self._limit

    def may_take(self, client: Client) -> bool:
        """Whether the client may have another place."""
        if self.full:
            return False
        room = float(self._limit)
        outer: Client = ()
        for depth in range(1, len(client) + 1):
            inner = client[:depth]
            others = self._held[outer] - self._held[inner]
            room = max(self._share * (room - others), 1.0)
            if self._held[inner] >= room:
                return False
            outer = inner
        return True

    def take(self, client: Client) -> bool:
        """Take a place, if the client may."""
        if not self.may_take(client):
            return False
        for depth in range(len(client) + 1):
            self._held[client[:depth]] += 1
        return True

    def give_back(self, client: Client) -> None:
        """A place is free again."""
        for depth in range(len(client) + 1):
            self._held[client[:depth]] -= 1
            if not self._held[client[:depth]]:
                del self._held[client[:depth]]

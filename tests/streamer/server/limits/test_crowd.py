"""The crowd: strangers make room for each other, members for nobody, and memory is bounded."""

from __future__ import annotations

from streamer.server.limits.crowd import Crowd


class Socket:
    def __init__(self) -> None:
        self.cut = False

    def cut_off(self) -> None:
        self.cut = True


def come(crowd: Crowd, count: int, address: str) -> list[Socket]:
    sockets = [Socket() for _ in range(count)]
    for socket in sockets:
        crowd.came(socket, address)
    return sockets


def test_the_first_stranger_makes_room_for_the_next() -> None:
    crowd = Crowd(strangers=3, members=20, held_bytes=100)
    sockets = come(crowd, 5, "a")
    assert [s.cut for s in sockets] == [True, True, False, False, False]
    assert (crowd.strangers, crowd.cut["strangers"]) == (3, 2)


def test_a_flood_from_one_address_costs_no_other_its_place() -> None:
    crowd = Crowd(strangers=4, members=20, held_bytes=100)
    (honest,) = come(crowd, 1, "b")
    flood = come(crowd, 100, "a")
    (late,) = come(crowd, 1, "c")
    assert not honest.cut
    assert not late.cut
    assert sum(not s.cut for s in flood) == 2


def test_a_flood_from_one_network_costs_no_other_its_place() -> None:
    crowd = Crowd(strangers=4, members=20, held_bytes=100)
    (honest,) = come(crowd, 1, "2001:db8:2::1")
    flood = [come(crowd, 1, f"2001:db8:1::{number:x}")[0] for number in range(1, 100)]
    assert not honest.cut
    assert sum(not s.cut for s in flood) == 3


def test_members_are_not_counted_among_strangers() -> None:
    crowd = Crowd(strangers=2, members=20, held_bytes=100)
    members = come(crowd, 1, "a")
    assert crowd.joined(members[0], ("a",))
    assert crowd.joined(members[0], ("a",))  # and is counted once
    come(crowd, 50, "a")
    assert not members[0].cut
    assert (crowd.members, crowd.strangers) == (1, 2)
    crowd.left(members[0])
    crowd.left(members[0])
    assert crowd.members == 0
    assert not crowd.joined(members[0], ("a",))  # who is gone comes back by a new connection only
    assert crowd.members == 0


def test_whoever_holds_the_most_memory_is_cut_off() -> None:
    crowd = Crowd(strangers=10, members=20, held_bytes=100)
    small, large = come(crowd, 2, "a")
    crowd.holds(large, 80)
    crowd.holds(small, 15)
    assert crowd.held == 95
    crowd.holds(small, 25)
    assert large.cut
    assert not small.cut
    assert crowd.held == 25
    crowd.holds(large, 80)  # it is gone: what it still says does not count
    assert crowd.held == 25
    crowd.left(small)
    assert crowd.held == 0


def test_one_client_leaves_places_for_the_next() -> None:
    crowd = Crowd(strangers=100, members=8, held_bytes=100)
    hog = [crowd.joined(socket, ("desk", "a")) for socket in come(crowd, 8, "a")]
    assert not all(hog)
    (other,) = come(crowd, 1, "a")
    assert crowd.joined(other, ("door", "a"))

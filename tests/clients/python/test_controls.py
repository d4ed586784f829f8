"""Controls among the sound: whatever is lost and sent again, each is taken where it was asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxwatch_client.controls import Control, Controls
from voxwatch_client.messages import Configure, Mute, Reset, Turn
from voxwatch_client.resend import ResendBuffer

ASKED: list[Control] = [Turn(), Reset(), Mute(on=True), Mute(on=False), Configure(miss=0.1)]


class Peer:
    """A server that notes where it took what, and its client's two buffers."""

    def __init__(self) -> None:
        self.sound, self.controls = ResendBuffer(12, 40), Controls()
        self.place = 0
        self.taken: list[tuple[int, Control]] = []

    def transmit(self, messages: int) -> None:
        """Send so many messages, in the order of the client's stream."""
        for _ in range(messages):
            if control := self.controls.take(self.sound.sent):
                if (self.place, control) not in self.taken:
                    self.taken.append((self.place, control))
                continue
            room, place = 5, self.controls.next_place
            piece = self.sound.take(room if place is None else min(room, place - self.sound.sent))
            self.place += len(piece)

    def drop(self) -> None:
        self.sound.rewind(self.place)
        self.controls.taken(self.place)
        self.controls.connected()

    def tell(self, back: int) -> None:
        self.sound.taken(max(0, self.place - back))
        self.controls.taken(self.sound.start)


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "ask", "transmit", "drop", "tell"]), st.integers(0, 12)),
        max_size=60,
    )
)
def test_every_control_is_taken_at_its_place(steps: list[tuple[str, int]]) -> None:
    peer, asked = Peer(), []
    for step, amount in steps:
        match step:
            case "add":
                peer.sound.add(b"." * min(amount, peer.sound.room))
            case "ask":
                control = ASKED[amount % len(ASKED)]
                asked.append((peer.sound.end, control))
                peer.controls.add(*asked[-1])
            case "transmit":
                peer.transmit(amount)
            case "drop":
                peer.drop()
            case "tell":
                peer.tell(amount)
    for _ in range(40):
        peer.transmit(20)
        peer.tell(0)
    assert peer.place == peer.sound.end
    last = {(place, type(control)): control for place, control in asked}
    for (place, kind), control in last.items():
        assert [c for p, c in peer.taken if p == place and type(c) is kind][-1] == control
    assert {(p, type(c)) for p, c in peer.taken} == last.keys()


def test_changes_asked_for_at_one_place_are_one_change() -> None:
    controls = Controls()
    controls.add(10, Configure(claim="bob"))
    controls.add(10, Configure(miss=0.1))
    assert controls.take(9) is None
    assert controls.take(10) == Configure(claim="bob", miss=0.1)
    assert controls.take(10) is None

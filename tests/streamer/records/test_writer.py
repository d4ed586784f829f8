"""Entries are written behind the live path; a disk that stalls or is full delays nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from recorded import T0, decision, score, started, whole

from streamer.records.book import Book
from streamer.records.entries import AnyEntry, Ended, Missing
from streamer.records.errors import BrokenChain, RecordError
from streamer.records.journal import Batch
from streamer.records.writer import Writer

WAIT_S = 20.0


class Disk:
    """Takes batches; it can be full, and it can stall until it is released."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, AnyEntry]] = []
        self.why: RecordError | None = None
        self.free = threading.Event()
        self.free.set()
        self.reached = threading.Event()

    def write(self, batch: Batch) -> None:
        self.reached.set()
        assert self.free.wait(WAIT_S)
        if self.why is not None:
            raise self.why
        self.taken += [(stream, entry) for stream, entries in batch.items() for entry in entries]

    def of(self, stream: str) -> list[AnyEntry]:
        return [entry for name, entry in self.taken if name == stream]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def make(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Writer]]:
    monkeypatch.setattr("streamer.records.writer.RETRY_S", 0.01)
    made: list[Writer] = []

    def make(limit: int = 1000) -> Writer:
        made.append(Writer(disk.write, limit=limit, interval_s=0.001))
        return made[-1]

    yield make
    disk.free.set()
    disk.why = None
    for one in made:
        one.close(WAIT_S)


def put(writer: Writer, stream: str, entries: Sequence[AnyEntry]) -> list[bool]:
    return [writer.put(stream, entry) for entry in entries]


def test_all_is_written_in_order_before_it_closes(make: Callable[..., Writer], disk: Disk) -> None:
    writer = make()
    one, two = whole("one"), whole("two")
    for pair in zip(one, two, strict=True):
        assert put(writer, "one", pair[:1]) + put(writer, "two", pair[1:]) == [True, True]
    assert writer.close(WAIT_S) == 0
    assert disk.of("one") == one
    assert disk.of("two") == two
    assert writer.figures().written == len(one) + len(two)


def test_a_stalled_disk_delays_nobody_and_loses_nothing(
    make: Callable[..., Writer], disk: Disk
) -> None:
    writer = make()
    disk.free.clear()
    assert put(writer, "one", [started("one")]) == [True]
    assert disk.reached.wait(WAIT_S)
    # The writer's thread is held by the disk, and this one is not.
    entries = [score(second) for second in range(1, 501)]
    assert all(put(writer, "one", entries))
    assert writer.figures().waiting == 501
    disk.free.set()
    assert writer.close(WAIT_S) == 0
    assert disk.of("one")[1:] == entries


def test_a_stalled_disk_is_told_before_anything_is_lost(
    make: Callable[..., Writer], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.records.writer.SLOW_S", 0.0)
    writer = make()
    disk.free.clear()
    put(writer, "one", [started("one")])
    assert disk.reached.wait(WAIT_S)
    assert "has not answered" in writer.figures().trouble


def test_what_a_full_disk_did_not_take_is_counted_and_marked(
    make: Callable[..., Writer], disk: Disk
) -> None:
    writer = make(limit=10)
    disk.why = RecordError("the disk is full")
    assert all(put(writer, "one", [started("one"), *(score(s) for s in range(1, 10))]))
    assert disk.reached.wait(WAIT_S)
    while not writer.figures().trouble:
        disk.reached.clear()
        assert disk.reached.wait(WAIT_S)
    lost = [decision(float(second)) for second in range(10, 15)]
    assert put(writer, "one", lost) == [False] * 5
    figures = writer.figures()
    assert (figures.lost, figures.waiting, figures.trouble) == (5, 10, "the disk is full")
    disk.why = None
    assert writer.close(WAIT_S) == 0
    assert writer.figures().trouble == ""
    last = disk.of("one")[-1]
    assert isinstance(last, Missing)
    assert (last.count, last.since, last.until) == (5, T0 + 10, T0 + 14)
    assert last.why == "the disk is full"


def test_the_end_of_a_stream_has_room_though_its_scores_have_none(
    make: Callable[..., Writer], disk: Disk
) -> None:
    writer = make(limit=4)
    disk.why = RecordError("the disk is full")
    put(writer, "one", [started("one"), *(score(s) for s in range(1, 9))])
    end = Ended(at=T0 + 9, t=9.0, code=1000, why="")
    assert put(writer, "one", [end]) == [True]
    disk.why = None
    writer.close(WAIT_S)
    kinds = [type(one).__name__ for one in disk.of("one")]
    assert kinds == ["Started", "Scores", "Scores", "Scores", "Missing", "Ended"]


def test_what_waits_stays_within_twice_the_limit(make: Callable[..., Writer], disk: Disk) -> None:
    writer = make(limit=50)
    disk.why = RecordError("the disk is full")
    for stream in map(str, range(100)):
        put(writer, stream, whole(stream))
    assert writer.figures().waiting <= 2 * 50 + 100  # and a mark of its gap in each stream
    assert writer.figures().lost > 0


def test_a_chain_that_was_changed_is_not_gone_on_with(
    make: Callable[..., Writer], disk: Disk
) -> None:
    writer = make()
    disk.free.clear()
    put(writer, "one", [started("one")])
    assert disk.reached.wait(WAIT_S)
    disk.why = BrokenChain("one")
    disk.free.set()
    while not writer.figures().lost:
        pass
    disk.why = None
    assert put(writer, "one", [score(1.0)]) == [False]
    assert put(writer, "two", whole("two")) == [True] * 9
    writer.close(WAIT_S)
    assert disk.of("one") == []
    assert len(disk.of("two")) == 9


def test_a_fault_in_the_writing_does_not_end_it(make: Callable[..., Writer], disk: Disk) -> None:
    writer = make()
    faults = [ValueError("a fault"), None]
    write, disk_write = writer._write, disk.write

    def faulty(batch: Batch) -> None:
        if (fault := faults.pop(0) if faults else None) is not None:
            raise fault
        disk_write(batch)

    writer._write = faulty
    put(writer, "one", whole("one"))
    assert writer.close(WAIT_S) == 0
    assert write is not None
    assert len(disk.of("one")) == 9


def test_two_writers_go_on_with_one_chain(book: Book) -> None:
    book.journal.write({"one": [started("one")]})
    writers = [Writer(book.journal.write, interval_s=0.0) for _ in range(2)]
    for second in range(1, 31):
        assert all(writer.put("one", score(float(second))) for writer in writers)
    assert [writer.close(WAIT_S) for writer in writers] == [0, 0]
    assert len(book.history("one")) == 61

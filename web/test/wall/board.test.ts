import { describe, expect, it } from "vitest";
import { streamStates } from "voxwatch-client";
import { Board, type RosterLine } from "../../src/wall/board";
import type { Placed } from "../../src/wall/order";
import { byNeed, nameOf, statusOf } from "../../src/wall/seat";
import { shortWords } from "../../src/wall/words";
import { decision } from "../messages";
import { board, incident } from "./seats";

const ANY = { exam: "", search: "", kind: "" };
const names = (placed: readonly Placed[]): string[] => placed.map(({ seat }) => seat.label);

describe("the order of the wall", () => {
  it("is that of need, then what goes on, then the newest", () => {
    const told = [
      incident({ id: "1", kind: "dropped" }),
      incident({ id: "2", kind: "takeover", until: 70 }),
      incident({ id: "3", kind: "takeover", since_at: 1000 }),
      incident({ id: "4", kind: "takeover", since_at: 1100 }),
      incident({ id: "5", kind: "other-voice" }),
      incident({ id: "6", kind: "of a later server" }),
    ];
    expect(told.sort(byNeed).map(({ id }) => id)).toEqual(["4", "3", "2", "5", "1", "6"]);
  });

  it("is that of the names among those who are fine, with numbers as numbers", () => {
    const { needing, others } = board("Seat 10", "Seat 9", "anna").sorted(ANY);
    expect(needing).toEqual([]);
    expect(names(others)).toEqual(["anna", "Seat 9", "Seat 10"]);
  });

  it("does not change with the state of a moment", () => {
    const wall = board("Anna", "Ben");
    const unsure = { ...decision(5, "uncertain", null), stream: "s2" };
    expect(wall.told(unsure)).toBeNull();
    expect(names(wall.sorted(ANY).others)).toEqual(["Anna", "Ben"]);
    expect(statusOf(wall.of("s2")!).kind).toBe("unsure");
  });

  it("puts those who are not here, and those who have left, last", () => {
    const wall = board("Zoe", "Anna");
    wall.enrol("e1", [{ candidate: "c9", number: "9", name: "Ben", accommodations: [] }]);
    wall.told({ type: "closed", seq: 1, t: 9, stream: "s2", code: 1000 });
    expect(names(wall.sorted(ANY).others)).toEqual(["Zoe", "Ben", "Anna"]);
  });

  it("says who has not opened their link and who is not enrolled, before the exam", () => {
    const wall = new Board();
    const line = (candidate: string, opened_at: number | null, enrolled: boolean): RosterLine => ({
      candidate, number: candidate, name: candidate, accommodations: [], opened_at, enrolled,
    });
    wall.enrol("e1", [line("a", 900, true), line("b", 900, false), line("c", null, true), line("d", null, false)]);
    const words = (): string[] => wall.sorted(ANY).others.map((one) => `${nameOf(one.seat)}: ${shortWords(one)}`);
    expect(words()).toEqual([
      "c: Link not opened",
      "d: Link not opened · not enrolled",
      "b: Not enrolled",
      "a: Not here yet",
    ]);
    wall.enrol("e1", [line("d", 950, true)]);
    expect(words()).toEqual(["c: Link not opened", "b: Not enrolled", "a: Not here yet", "d: Not here yet"]);
    wall.remember("e1", [{ stream: "s9", label: "c", candidate: "c", started_at: 1000 }]);
    expect(words().at(-1)).toBe("c: Ended");
  });
});

describe("an incident", () => {
  it("is latched until somebody acknowledges it, also when it is over and the stream has ended", () => {
    const wall = board("Anna");
    expect(wall.happened(incident())).not.toBeNull();
    wall.happened(incident({ until: 70, until_at: 1070 }));
    wall.told({ type: "closed", seq: 1, t: 80, stream: "s1", code: 1000 });
    expect(names(wall.sorted(ANY).needing)).toEqual(["Anna"]);
    wall.acknowledged("s1", { at: 1100, who: "desk", act: "acknowledge", incident: "s1-1" });
    expect(wall.sorted(ANY).needing).toEqual([]);
    expect(statusOf(wall.of("s1")!).kind).toBe("left");
  });

  it("is news once", () => {
    const wall = board("Anna");
    const severe = { kind: "takeover", severity: 9 } as const;
    const told = { type: "incident", seq: 1, t: 60, ...incident(), ...severe } as const;
    expect(wall.told(told)).toMatchObject({ id: "s1-1" });
    expect(wall.told({ ...told, until: 64, until_at: 1064 })).toBeNull();
  });

  it("that a candidate is allowed calls nobody, and is told", () => {
    const wall = board("Anna");
    expect(wall.happened(incident({ note_only: true }))).toBeNull();
    expect(statusOf(wall.of("s1")!)).toMatchObject({ kind: "fine", unseen: [] });
    expect(wall.of("s1")!.incidents.size).toBe(1);
  });

  it("that goes on is shown after it was acknowledged", () => {
    const wall = board("Anna");
    wall.happened(incident({ kind: "noisy", acknowledged_by: "desk", acknowledged_at: 1 }));
    const [placed] = wall.sorted(ANY).others;
    expect(shortWords(placed!)).toBe("Noisy");
  });

  it("of a stream that nobody knows makes a seat by its label", () => {
    const wall = new Board();
    wall.happened(incident({ stream: "gone", label: "Carl", exam: "e1", candidate: "c1" }));
    expect(names(wall.sorted({ ...ANY, exam: "e1" }).needing)).toEqual(["Carl"]);
  });
});

describe("a candidate", () => {
  it("who comes anew has one tile, with what happened before", () => {
    const wall = new Board();
    const entry = { label: "Anna", exam: "e1", candidate: "c1", state: "match" };
    wall.list(streamStates([{ ...entry, stream: "s1" }]));
    wall.happened(incident());
    wall.list(streamStates([{ ...entry, stream: "s2" }]));
    const [placed, ...more] = wall.sorted(ANY).needing;
    expect(more).toEqual([]);
    expect(placed!.seat.streams).toEqual(["s1", "s2"]);
    wall.told({ type: "closed", seq: 1, t: 9, stream: "s1", code: 1006 });
    expect(placed!.seat.live).not.toBeNull();
  });

  it("who was there before a reload has left, and whoever is back goes on", () => {
    const wall = new Board();
    const entry = { label: "Anna", exam: "e1", candidate: "c1", state: "match" };
    wall.list(streamStates([{ ...entry, stream: "s2" }]));
    const line = { number: "", accommodations: [] };
    wall.enrol("e1", [{ candidate: "c1", name: "Anna", ...line }, { candidate: "c2", name: "Ben", ...line }]);
    wall.remember("e1", [
      { stream: "s1", label: "", candidate: "c1", started_at: 5 },
      { stream: "s0", label: "", candidate: "c2", started_at: 6 },
      { stream: "s2", label: "", candidate: "c1", started_at: 9 },
    ]);
    const found = wall.sorted(ANY).others.map(({ seat, status }) => [seat.label, status.kind, seat.streams]);
    expect(found).toEqual([["Anna", "fine", ["s1", "s2"]], ["Ben", "left", ["s0"]]]);
  });

  it("is found by name, number and whom they should be", () => {
    const wall = board("Anna", "Ben");
    wall.enrol("e1", [{ candidate: "c9", number: "A-17", name: "Zoe", accommodations: [] }]);
    const search = (words: string): string[] => names(wall.sorted({ ...ANY, search: words }).others);
    expect(search("a-17")).toEqual(["Zoe"]);
    expect(search(" be ")).toEqual(["Ben"]);
    expect(search("zoe 17")).toEqual(["Zoe"]);
    expect(search("nobody")).toEqual([]);
  });

  it("of no exam leaves the wall in the end, when nobody has to see them", () => {
    const wall = board(...Array.from({ length: 100 }, (_, i) => `Stream ${i}`));
    wall.happened(incident());
    wall.list([]);
    wall.list(streamStates([{ stream: "new", label: "new" }]));
    for (let i = 1; i <= 100; i += 1) {
      wall.told({ type: "closed", seq: 1, t: 9, stream: `s${i}`, code: 1000 });
    }
    const { needing, others } = wall.sorted(ANY);
    expect(names(needing)).toEqual(["Stream 0"]);
    expect(others.length).toBeLessThan(100);
    expect(names(others)).toContain("new");
  });
});

import { describe, expect, it } from "vitest";
import { fragmentOf, placeOf } from "../src/address";
import type { Incident } from "../src/incidents";
import { roughly, timeOfDay } from "../src/times";
import { Board, byNeed, nameOf, statusOf, type Placed, type RosterLine } from "../src/wall/board";
import { expiryWords } from "../src/wall/expiry";
import { lookOf, orderOf, titleOf, urgency } from "../src/wall/kinds";
import { StreamRecord, type Entry } from "../src/wall/record";
import { CLIPS, countWords, presentWords, recordTrouble, shortWords, whenWords } from "../src/wall/words";
import { streamStates, type Message, type MonitorMessage } from "voxwatch-client";
import { change, decision, lag } from "./messages";

const ANY = { exam: "", search: "", kind: "" };

function incident(of: Partial<Incident> = {}): Incident {
  return {
    id: "s1-1",
    stream: "s1",
    kind: "takeover",
    since: 60,
    until: null,
    since_at: 1060,
    until_at: null,
    evidence: -5,
    speech_s: 4,
    voice: "voice-2",
    share: null,
    count: 1,
    reason: "another voice began",
    note_only: false,
    acknowledged_by: null,
    acknowledged_at: null,
    ...of,
  };
}

function board(...labels: string[]): Board {
  const found = new Board();
  found.list(
    streamStates(
      labels.map((label, i) => ({ stream: `s${i + 1}`, label, claims: [label], state: "match" })),
    ),
  );
  return found;
}

const names = (placed: readonly Placed[]): string[] => placed.map(({ seat }) => seat.label);

describe("what expires", () => {
  const token = { name: "desk", roles: ["monitor"], expires_at: 90_000, own: false };
  const words = (token: Parameters<typeof expiryWords>[0][number]): string => expiryWords([token], [], 1000)[0]!;

  it("is told of tokens with what to do", () => {
    expect(words({ ...token, own: true })).toMatch(/^Your token expires on \d+ January, \d\d:\d\d\. Ask for another/);
    expect(words(token)).toMatch(/^The token "desk" expires on .*Give whoever has it another one/);
    expect(words({ ...token, expires_at: 900 })).toMatch(/^The token "desk" expired on .*shut out/);
  });

  it("is told of links half an hour before, the first to end first, and of three by name", () => {
    const found = board("Ada", "Bo", "Cy", "Di", "Ed");
    const ends = [5000, 2500, 2000, 2700, 2600];
    found.all("").forEach((seat, i) => (seat.live!.link_expires_at = ends[i]!));
    const lines = (now: number): string[] => expiryWords([], found.all(""), now);
    expect(lines(100)).toEqual([]);
    expect(lines(200)).toEqual([
      `The candidate link of Cy expires at ${timeOfDay(2000)}, in 30 min. Then nothing more is heard: give them a later one.`,
    ]);
    expect(lines(1000)[0]).toMatch(/^Candidate links expire soon, of Cy, Bo, Ed, 1 more: the first at /);
    found.told({ type: "closed", seq: 0, t: 0, stream: "s3", code: 1000 } as MonitorMessage);
    expect(lines(200)).toEqual([]);
  });
});

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

describe("words", () => {
  it("say when it was", () => {
    const at = timeOfDay(1060);
    expect(whenWords(incident(), 1200)).toEqual({ moment: `at ${at}`, ago: "2 min ago" });
    expect(whenWords(incident({ kind: "silent" }), 1065)).toEqual({ moment: `since ${at}`, ago: "for 5 s" });
    const over = whenWords(incident({ until: 75, until_at: 1075 }), 1200);
    expect(over).toEqual({ moment: `${at}–${timeOfDay(1075)}`, ago: "15 s" });
    expect(roughly(3900)).toBe("1 h 5 min");
  });

  it("say what happened, and never that anybody broke a rule", () => {
    expect(titleOf(incident(), "Anna")).toBe("Another voice took over");
    expect(titleOf(incident({ voice: "Bob" }), "Anna")).toBe("Bob took over");
    expect(titleOf(incident({ kind: "mismatch" }), "Anna")).toBe("The voice is not Anna");
    expect(titleOf(incident({ kind: "other-voice", share: 0.374 }), "Anna")).toBe("Somebody else (37\u00a0%)");
    expect(titleOf(incident({ kind: "new" }), "Anna")).toBe("new");
    expect(urgency("takeover")).toBeLessThan(urgency("mismatch"));
    expect(lookOf("new")).toMatchObject({ word: "new", shape: "diamond" });
  });

  it("puts the incidents of a later server before those with whom nothing has happened", () => {
    const kinds = ["left", "fine", "doubt", "shouting", "dropped", "takeover"];
    const order = ["takeover", "dropped", "shouting", "doubt", "fine", "left"];
    expect(kinds.sort((a, b) => orderOf(a) - orderOf(b))).toEqual(order);
  });

  it("count", () => {
    const count = (needing: number, all: number): string => countWords(needing, all, true);
    expect([count(1, 9), count(3, 9)]).toEqual(["1 needs attention", "3 need attention"]);
    expect([count(0, 9), count(0, 0)]).toEqual(["Nobody needs attention", "Nobody is here yet"]);
    expect(countWords(0, 9, false)).toBe("Not connected");
    expect(countWords(3, 9, false)).toBe("Not connected: 3 needed attention");
    expect([presentWords(1, 1), presentWords(30, 28)]).toEqual(["1 candidate", "30 candidates, 28 of them live"]);
  });
});

describe("the record of a stream", () => {
  const bounds = { false_accept: 0.01, miss: 0.05, accept_llr: 4.55, reject_llr: -2.99 };
  const model = { name: "m", version: "1", sha256: "0", provider: "cpu" };
  const terms = { mode: "verify", claims: ["Anna"], bounds, expected_rates: [] } as const;
  const told = (t: number, event: Message): Entry => ({ kind: "told", at: 1000 + t, t, event });
  const started = { kind: "started", at: 1000, t: 0, label: "Anna", model, ...terms } as unknown as Entry;

  it("tells a candidate by name, and not their voiceprint by number", () => {
    const record = new StreamRecord("s1", "Hugo Stein");
    record.take({
      entries: [
        { ...started, claims: ["1008@e1"] } as Entry,
        { kind: "scores", at: 1001, t: 1, speaker: "1008@e1", llr: 1 },
        { kind: "told", at: 1002, t: 2, event: decision(2, "match", "1008@e1") },
        { kind: "told", at: 1003, t: 3, event: { ...change(3, 3, "1008@e1"), to: "Ada" } },
      ] as Entry[],
      after: 4,
      more: false,
    });
    const { view } = record;
    expect(view.claims).toEqual(["Hugo Stein"]);
    expect(Object.keys(view.traces)).toEqual(["Hugo Stein"]);
    const told = view.notes.map(({ event }) => event);
    expect(told).toMatchObject([{ speaker: "Hugo Stein" }, { from: "Hugo Stein", to: "Ada" }]);
    const other = new StreamRecord("s2");
    other.take({ entries: [{ ...started, claims: ["1008@e1"] } as Entry], after: 1, more: false });
    expect(other.view.claims).toEqual(["1008@e1"]);
  });

  it("knows which sound is there still, and of earlier servers what there was", () => {
    const record = new StreamRecord("s1");
    const clip = (incident: string): Entry => ({ kind: "clip", at: 1000, t: 0, incident });
    record.take({ entries: [clip("a"), clip("b")], after: 2, more: false });
    expect([...record.clips]).toEqual([["a", true], ["b", true]]);
    record.take({ entries: [clip("c")], after: 3, more: false, clips: ["b", "c"] });
    expect([...record.clips]).toEqual([["a", false], ["b", true], ["c", true]]);
    record.take({ entries: [], after: 3, more: false, clips: [] });
    expect([...record.clips.values()]).toEqual([false, false, false]);
  });

  it("says what the candidate had said of clips of sound, where any are kept", () => {
    const told = (clips: object): string | null => {
      const record = new StreamRecord("s1");
      record.take({ entries: [{ ...started, ...clips } as Entry], after: 1, more: false });
      return record.clipsAnswer && CLIPS[record.clipsAnswer];
    };
    expect(told({})).toBeNull();
    expect(told({ clips: "refused" })).toBe("Refused clips of sound");
    expect(told({ clips: "agreed" })).toBe("Agreed to clips of sound");
  });

  function read(...entries: Entry[]): StreamRecord {
    const record = new StreamRecord("s1");
    for (const [i, entry] of entries.entries()) {
      record.take({ entries: [entry], after: i + 1, more: i + 1 < entries.length });
    }
    return record;
  }

  it("is the course from the first second, whoever watched", () => {
    const score = (t: number): Entry => ({ kind: "scores", at: 1000 + t, t, speaker: "Anna", llr: 5, evidence: 6 });
    const scores = Array.from({ length: 4000 }, (_, i) => score(i));
    const record = read(started, told(2, decision(2, "match", "Anna")), ...scores);
    expect(record.view.traces.Anna!.t.length).toBe(4000);
    expect(record.view).toMatchObject({ media: 3999, claims: ["Anna"], mode: "verify", bounds });
    expect(record.view.segments).toMatchObject([{ start: 2, state: "match" }]);
    expect(record.complete).toBe(true);
    expect(record.after).toBe(4002);
  });

  it("knows of whom a score without a name is: of the one who is claimed", () => {
    const score = (t: number): Entry => ({ kind: "scores", at: 1000 + t, t, llr: 5, evidence: 6 });
    const other: Entry = { ...started, kind: "claimed", at: 1002, t: 2, claims: ["Bert"] } as Entry;
    const record = read(started, score(1), other, score(3));
    expect(record.view.traces.Anna!.t).toEqual([1]);
    expect(record.view.traces.Bert!.t).toEqual([3]);
  });

  it("knows the time of day of each moment, over an interruption too", () => {
    const back: Entry = { kind: "connection", at: 1160, t: 100, state: "resumed" };
    const record = read(started, told(100, decision(100, "match", "Anna")), back, {
      kind: "scores",
      at: 1170,
      t: 110,
      speaker: "Anna",
      llr: 5,
    });
    expect(record.timeOf(50)).toBe(1050);
    expect(record.timeOf(105)).toBe(1165);
    expect(record.timeOf(115)).toBe(1175);
    expect(new StreamRecord("s2").timeOf(5)).toBeNull();
  });

  it("tells an outage as one line", () => {
    const record = read(
      started,
      told(10, lag(10)),
      told(11, lag(11, { behind_s: 3 })),
      told(12, lag(12, { behind_s: 0 })),
      told(20, change(19, 20, "Anna")),
    );
    expect(record.view.notes.map(({ kind }) => kind)).toEqual(["lag", "change"]);
  });

  it("has what people wrote, the newest verdict last, and what could not be written", () => {
    const record = read(
      started,
      { kind: "acted", at: 2000, t: 0, who: "desk", act: "note", text: "asked" },
      { kind: "acted", at: 2001, t: 0, who: "desk", act: "verdict", verdict: "needs-review" },
      { kind: "acted", at: 2002, t: 0, who: "chief", act: "verdict", verdict: "cleared", text: "seen" },
      { kind: "missing", at: 2003, t: 0, count: 7, since: 1500, until: 1600, why: "disk full" },
      { kind: "ended", at: 2004, t: 900, code: 1000, why: "finished" },
    );
    expect(record.notes).toMatchObject([{ text: "asked" }]);
    expect(record.verdicts.at(-1)).toMatchObject({ verdict: "cleared", who: "chief" });
    expect(record.missing).toMatchObject([{ count: 7 }]);
    expect(record.endedAt).toBe(2004);
    expect(record.timeOf(900)).toBe(2004);
  });
});

it("a record that cannot be written is said, and what is lost of it", () => {
  expect(recordTrouble(undefined)).toBe("");
  expect(recordTrouble({ written: 9, waiting: 3, lost: 7, failing: 0 })).toBe("");
  const told = recordTrouble({ written: 9, waiting: 3, lost: 7, failing: 1 });
  expect(told).toContain("3 entries wait, 7 are lost");
  expect(recordTrouble({ written: 9, waiting: 3, lost: 0, failing: 1 })).not.toContain("lost");
});

it("the address says what the wall shows", () => {
  expect(placeOf("#exam=e1&open=c2&token=x")).toEqual({ exam: "e1", open: "c2" });
  expect(fragmentOf({ exam: "e1", open: "" })).toBe("#exam=e1");
  expect(fragmentOf({ exam: "", open: "" })).toBe("");
});

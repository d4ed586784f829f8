import { describe, expect, it } from "vitest";
import type { Message } from "voxwatch-client";
import { StreamRecord, type Entry } from "../../src/wall/record";
import type { Note } from "../../src/view";
import { noteWords } from "../../src/words";
import { CLIPS } from "../../src/wall/words";
import { change, decision, lag } from "../messages";

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

  it("dates what the network kept by when it was said", () => {
    const stalled = (t: number, late_s: number): Message =>
      ({ type: "stalled", seq: 0, t, stalled: late_s === 0, gap_s: 30, late_s }) as Message;
    const at = (at: number, entry: Entry): Entry => ({ ...entry, at }) as Entry;
    const score = (t: number): Entry => ({ kind: "scores", at: 1130, t, llr: 5 });
    const record = read(
      started,
      told(100, decision(100, "match", "Anna")),
      at(1103, told(100, stalled(100, 0))),
      at(1130, told(100, stalled(100, 30))),
      score(105),
      score(120),
      at(1131, score(131)),
    );
    for (const t of [90, 100, 105, 119, 125, 131, 140]) expect(record.timeOf(t)).toBe(1000 + t);
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

  it("counts no window as failed where the connection was lost or the server did not run", () => {
    const record = read(
      started,
      { kind: "connection", at: 1010, t: 10, state: "dropped" },
      { kind: "connection", at: 1015, t: 10, state: "resumed" },
      { kind: "suspended", at: 1400, t: 20, since: 1020, until: 1380 },
    );
    expect(record.view.notes.map(({ t, event }) => [t, noteWords({ event } as Note, []).what])).toEqual([
      [10, "The connection was lost"],
      [10, "The connection is back"],
      [20, "The server stood still for 6 min, or its clock jumped"],
    ]);
    expect(record.view.failures).toBe(0);
    const failed = { type: "error", seq: 1, t: 30, code: "failed", message: "a window failed" } as Message;
    expect(read(started, told(30, failed)).view.failures).toBe(1);
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

import { describe, expect, it } from "vitest";
import { headline, NO_LINK } from "../src/headline";
import { advance, HISTORY_S, joined, reduce, rejoined, restarted } from "../src/state";
import { noteWords } from "../src/words";
import {
  emptyView,
  silentFor,
  speaking,
  speechBetween,
  speechMissing,
  spoken_s,
  type View,
} from "../src/view";
import { streamStates, type Message } from "voxwatch-client";
import { decision, lag, quality, ready, score, vad } from "./messages";

function after(...messages: Message[]): View {
  return messages.reduce(reduce, emptyView());
}

describe("speech", () => {
  it("is counted net, the span under way included", () => {
    const view = after(ready(), vad(1, true), vad(3, false), vad(5, true), quality(6));
    expect(spoken_s(view)).toBe(3);
    expect(speaking(view)).toBe(true);
    expect(speechBetween(view, 2, 5.5)).toBe(1.5);
  });

  it("knows how long it is silent", () => {
    expect(silentFor(after(ready()))).toBeNull();
    const view = after(vad(1, true), vad(3, false), quality(8));
    expect(silentFor(view)).toBe(5);
  });

  it("is missing until there is enough for a decision", () => {
    const view = after(ready(), vad(0, true), quality(0.4));
    expect(speechMissing(view)).toBeCloseTo(1.1);
    const first = reduce(view, { ...decision(1, "insufficient", null), net_speech_s: 1 });
    expect(speechMissing(first)).toBeCloseTo(0.5);
    expect(speechMissing(advance(first, 1.2))).toBeCloseTo(0.3);
    expect(speechMissing(reduce(first, decision(1.5, "match", "Alice")))).toBe(0);
  });

  it("is never more than the sound", () => {
    expect(spoken_s(after(vad(0, true), vad(3.4, false)))).toBe(3.4);
    expect(spoken_s({ ...emptyView(), media: 33.2, speech_s: 34 })).toBe(33.2);
  });

  it("is missing anew after a change, whatever was said before it", () => {
    const view = after(ready(), vad(0, true), decision(30, "insufficient", null), quality(30.5));
    expect(speechMissing(view)).toBeCloseTo(1.0);
  });
});

describe("what is kept", () => {
  it("is bounded by media time", () => {
    let view = after(ready());
    for (let t = 0; t < 3 * HISTORY_S; t += 2) {
      view = [vad(t, true), score(t + 1, "Alice", 3), vad(t + 1.5, false)].reduce(reduce, view);
    }
    expect(view.traces.Alice!.t[0]).toBeGreaterThan(2 * HISTORY_S - 3);
    expect(view.traces.Alice!.llr).toHaveLength(view.traces.Alice!.t.length);
    expect(view.speech.length).toBeLessThan(HISTORY_S / 2 + 3);
    expect(spoken_s(view)).toBeCloseTo((3 * HISTORY_S * 1.5) / 2);
  });

  it("forgets speakers who were long not scored", () => {
    const view = after(score(1, "Bob", 1), score(HISTORY_S + 2, "Alice", 1));
    expect(Object.keys(view.traces)).toEqual(["Alice"]);
  });

  it("does not change a view it was given", () => {
    const before = after(ready(), vad(0, true), score(1, "Alice", 3));
    const copy = structuredClone(before);
    [vad(2, false), score(2, "Alice", 4), decision(2, "match", "Alice"), lag(3)].reduce(
      reduce,
      before,
    );
    expect(before).toEqual(copy);
  });
});

describe("lag", () => {
  it("adds up what was dropped and tells when it is over", () => {
    const view = after(
      ready(),
      lag(1, { behind_s: 2, hop_s: 1, dropped: 3 }),
      lag(2, { reason: "slow-consumer", dropped: 2 }),
    );
    expect(view.lags).toMatchObject({ overload: 1, slow_consumer: 1, dropped: 5, hop_s: 1 });
    const over = reduce(view, lag(3, { behind_s: 0, hop_s: 0.5 }));
    expect(over.lags).toMatchObject({ overload: 1, behind_s: 0, hop_s: null });
  });

  it("is one line for one outage, and another for the next", () => {
    const notices = [0.5, 1.5, 3.2, 1, 0].map((behind_s, i) => lag(10 + i, { behind_s, dropped: 1 }));
    const view = after(ready(), ...notices, lag(40, { behind_s: 2 }));
    expect(view.notes.map(({ kind }) => kind)).toEqual(["lag", "lag"]);
    expect(view.notes[0]!.event).toMatchObject({ start: 10, end: 14, worst_s: 3.2, dropped: 5, over: true });
    expect(view.notes[1]!.event).toMatchObject({ start: 40, over: false });
    expect(noteWords(view.notes[0]!, [])).toEqual({
      what: "The server was behind for 4.0 s",
      why: "on time again, 3.2 s at most, 5 dropped",
    });
  });

  it("is told as one while losses follow each other, whatever else happens between", () => {
    const lost = (t: number): Message => lag(t, { reason: "slow-consumer", dropped: 2 });
    const view = after(ready(), lost(1), decision(2, "match", "Alice"), lost(20), lost(80));
    expect(view.notes.map(({ t, kind }) => [t, kind])).toEqual([
      [1, "lag"],
      [2, "decision"],
      [80, "lag"],
    ]);
  });

  it("never pushes decisions out of sight", () => {
    let view = after(ready(), decision(1, "match", "Alice"));
    for (let i = 0; i < 500; i += 1) {
      view = reduce(view, lag(10 * i, { behind_s: 1 }));
      view = reduce(view, lag(10 * i + 5, { behind_s: 0 }));
    }
    expect(view.notes[0]!.kind).toBe("decision");
    expect(view.notes.length).toBeLessThan(20);
  });
});

describe("another question", () => {
  const { bounds } = ready();

  it("ends what was decided about the last", () => {
    const view = after(ready(), decision(2, "match", "Alice"));
    const configured = { type: "configured", seq: 2, t: 3, mode: "verify" } as const;
    expect(reduce(view, { ...configured, expected_rates: [], claims: ["Bob"], bounds }).decision).toBeNull();
  });

  it("is not asked by other bounds", () => {
    const view = after(ready(), decision(2, "match", "Alice"));
    const stricter = { ...bounds, accept_llr: 7 };
    const message: Message = {
      type: "configured",
      seq: 2,
      t: 3,
      mode: "verify",
      claims: ["Alice"],
      bounds: stricter,
      expected_rates: [],
    };
    const next = reduce(view, message);
    expect(next.decision?.state).toBe("match");
    expect(next.bounds).toEqual(stricter);
  });
});

describe("a session that the server lost", () => {
  it("stays in the list of what happened, apart from the next", () => {
    const view = reduce(restarted(after(ready(), decision(9, "match", "Alice")), 1, "gone"), vad(2, true));
    expect(view).toMatchObject({ media: 2, session: 1, segments: [], traces: {} });
    expect(view.notes.map((n) => [n.session, n.kind])).toEqual([
      [0, "decision"],
      [1, "session"],
    ]);
    expect(view.earlier.map((v) => v.segments[0]!.state)).toEqual(["match"]);
  });

  it("is forgotten after many more", () => {
    let view = after(decision(2, "match", "Alice"));
    for (let i = 0; i < 20; i += 1) view = restarted(view, 0, "gone");
    expect(view.earlier).toHaveLength(8);
    expect(view.earlier.every((v) => v.earlier.length === 0)).toBe(true);
  });
});

describe("a stream joined in its middle", () => {
  const [entry] = streamStates([
    { stream: "a1", label: "Call", claims: ["Alice"], state: "match", speaker: "Alice", since: 12, received_s: 40 },
  ]);

  it("shows what the list of streams tells", () => {
    const view = joined(entry!);
    expect(view).toMatchObject({ stream: "a1", label: "Call", media: 40 });
    expect(view.decision).toMatchObject({ state: "match", speaker: "Alice", since: 12 });
  });

  it("knows that somebody speaks, and how much was said", () => {
    const half = { speaking: true, speech_s: 30, window_s: 4, hop_s: 1, decide_s: 2 };
    const view = advance(joined({ ...entry!, ...half }), 42);
    expect(speaking(view)).toBe(true);
    expect(spoken_s(view)).toBe(32);
    expect(view).toMatchObject({ window_s: 4, hop_s: 1, decide_s: 2 });
    expect(spoken_s(reduce(view, vad(43, false)))).toBe(33);
    const again = rejoined(view, { ...entry!, ...half, speech_s: 35, received_s: 50 });
    expect(spoken_s(advance(again, 51))).toBe(36);
  });

  it("keeps its past over a broken connection", () => {
    const view = [vad(41, true), score(42, "Alice", 6)].reduce(reduce, joined(entry!));
    const again = rejoined(view, { ...entry!, state: "mismatch", since: 50, received_s: 55 });
    expect(again.traces.Alice!.t).toEqual([42]);
    expect(again.decision?.state).toBe("mismatch");
    expect(again.segments.map((s) => [s.start, s.end])).toEqual([
      [12, 50],
      [50, null],
    ]);
    expect(speaking(again)).toBe(false);
  });
});

describe("sound that stops", () => {
  const stalled = (t: number, on: boolean): Message => ({ type: "stalled", seq: 0, t, stalled: on, gap_s: 3, late_s: 0 });

  it("leaves no state that is current, until it is back", () => {
    const view = after(ready(), vad(0, true), decision(3, "match", "Alice"), stalled(5, true));
    expect(view.stalled).toBe(true);
    expect(headline(view, { ...NO_LINK, source: "watch", phase: "live" }).title).toBe("No sound comes");
    const back = reduce(view, stalled(5, false));
    expect(headline(back, { ...NO_LINK, source: "watch", phase: "live" }).title).toMatch(/^Match/);
  });

  it("is told of a stream that never got any, with what to look at", () => {
    const told = headline(after(ready(), stalled(0, true)), { ...NO_LINK, source: "watch", phase: "live" });
    expect(told).toMatchObject({ tone: "off", title: "No sound comes" });
    expect(told.detail).toContain("None has come since the stream began");
  });

  it("is known of a stream that is watched from its middle", () => {
    const [entry] = streamStates([{ stream: "s", state: "match", speaker: "Alice", stalled: true }]);
    expect(joined(entry!).stalled).toBe(true);
    expect(rejoined(emptyView(), entry!).stalled).toBe(true);
  });
});

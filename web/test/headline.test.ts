import { describe, expect, it } from "vitest";
import { headline, NO_LINK, notLetIn, spoken, type Link } from "../src/headline";
import { interrupted, reduce } from "../src/state";
import { emptyView, type View } from "../src/view";
import type { Message, State } from "voxwatch-client";
import { faultWords } from "../src/microphone/words";
import { noteWords } from "../src/words";
import { change, decision, quality, ready, score, vad } from "./messages";

const LIVE: Link = { ...NO_LINK, source: "microphone", phase: "live" };

function after(...messages: Message[]): View {
  return messages.reduce(reduce, emptyView());
}

it("a page that is not let in says what to set", () => {
  const problem = notLetIn('origins = ["https://voice.example"]');
  const told = headline(emptyView(), { ...NO_LINK, phase: "failed", problem });
  expect(told.title).toContain("does not let this page in");
  expect(told.detail).toContain('Set origins = ["https://voice.example"] there');
});

describe("the end of a stream", () => {
  const ENDED: Link = { ...LIVE, phase: "ended" };
  const end = (match_s: number): Message => ({
    type: "summary",
    seq: 9,
    t: 20,
    received_s: 20,
    speech_s: 15,
    match_s,
    decisions: {},
    model: "m",
  });

  it.each<[string, Message[], string, string]>([
    ["after a match", [decision(2, "match", "Alice"), end(10)], "waiting", "Ended"],
    ["without speech", [end(0)], "unsure", "Ended – Alice was never matched"],
    ["unsure all along", [decision(2, "uncertain", null), end(0)], "unsure", "Ended – Alice was never matched"],
    ["after a mismatch", [decision(2, "mismatch", null), end(0)], "alert", "Ended – Alice was never matched"],
    [
      "with somebody else than at first",
      [decision(2, "match", "Alice"), change(9, 10, "Alice"), decision(10, "mismatch", null), end(7)],
      "unsure",
      "Ended – with another voice",
    ],
  ])("%s", (_, messages, tone, title) => {
    expect(headline(after(ready(), ...messages), ENDED)).toMatchObject({ tone, title });
  });
});

describe("an interrupted microphone", () => {
  const interruption = faultWords("paused");

  it("is told in place of what was decided before", () => {
    const view = after(ready(), vad(0, true), decision(9, "match", "Alice"));
    const line = headline(view, { ...LIVE, interruption });
    expect(line).toMatchObject({ tone: "off", title: "Sound interrupted" });
    expect(headline(view, LIVE).title).toBe("Match – Alice");
  });

  it("leaves a line in the list once it is over, unless it was a moment", () => {
    const view = after(ready(), vad(0, true));
    expect(interrupted(view, "muted", 0.4)).toBe(view);
    const [note] = interrupted(view, "muted", 12.3).notes;
    expect(noteWords(note!, []).what).toBe("No sound for 12 s: the microphone was muted");
  });
});

describe("the state in words", () => {
  it.each<[State, string, string]>([
    ["match", "match", "Match – Alice"],
    ["mismatch", "alert", "Not Alice"],
    ["uncertain", "unsure", "Unsure"],
    ["unknown", "unknown", "Unknown voice"],
  ])("tells %s", (state, tone, title) => {
    const view = after(ready(), vad(0, true), decision(2, state, "Alice"));
    expect(headline(view, LIVE)).toMatchObject({ tone, title });
  });

  it("names every claimed speaker that it is not", () => {
    const view = after(ready({ claims: ["Alice", "Bob"] }), decision(2, "mismatch", "Alice"));
    expect(headline(view, LIVE).title).toBe("Not Alice or Bob");
  });

  it("waits for sound until somebody speaks", () => {
    expect(headline(after(ready()), LIVE).title).toBe("Waiting for sound");
  });

  it("counts the net speech that is missing down", () => {
    const view = after(ready(), vad(0, true), vad(0.8, false), quality(5));
    const line = headline(view, LIVE);
    expect(line.title).toBe("Not enough speech yet");
    expect(line.countdown?.missing_s).toBeCloseTo(0.7);
    expect(line.countdown?.needed_s).toBe(1.5);
  });

  it("says the moment of a takeover until somebody matches again", () => {
    const messages = [ready(), decision(2, "match", "Alice"), change(42, 44, "Alice")];
    const taken = after(...messages, decision(45, "mismatch", "Alice"));
    expect(headline(taken, LIVE)).toMatchObject({
      tone: "alert",
      title: "Another voice took over at 0:42",
      detail: "Until then it was Alice. The voice since then is not Alice.",
    });
    const back = reduce(taken, decision(60, "match", "Alice"));
    expect(headline(back, LIVE).title).toBe("Match – Alice");
  });

  it("says of whom the voice should be that they speak, and not that they took over", () => {
    const before = after(ready(), decision(2, "mismatch", "Alice"));
    const back = reduce(before, { ...change(60, 62, "voice-2"), to: "Alice" });
    const told = (claims: string[]): string => noteWords(back.notes.at(-1)!, claims).what;
    expect(told(["Alice"])).toBe("Alice speaks now in place of an unknown voice (voice 2)");
    expect(told(["Bob"])).toBe("Alice took over from an unknown voice (voice 2)");
    expect(told(["Alice", "Bob"])).toBe("Alice took over from an unknown voice (voice 2)");
  });

  it("does not judge a takeover by what was decided before it", () => {
    const view = after(ready(), decision(2, "mismatch", "Alice"), change(8, 9, null));
    expect(headline(view, LIVE).detail).toBe("");
  });

  it("explains the session's own labels", () => {
    const before = [ready(), decision(2, "mismatch", "Alice")];
    const view = after(...before, change(8, 9, "voice-1"));
    expect(headline(view, LIVE).detail).toBe("Until then it was an unknown voice (voice 1).");
  });

  it("does not say who it was while that was unsure", () => {
    const matched = [ready(), decision(2, "match", "Alice"), decision(5, "uncertain", "Alice")];
    const view = after(...matched, change(8, 9, "Alice"));
    expect(headline(view, LIVE).detail).not.toContain("Until then");
    expect(view.changes[0]!.from).toBe("Alice"); // the report has what the server said
  });

  it("says what keeps it unsure and what helps, as the server does", () => {
    const unsure = after(ready(), vad(0, true), decision(2, "uncertain", "Alice"));
    expect(headline(unsure, LIVE).detail).toContain("More speech will tell.");
    const advice = "the enrolment has 5 s: enrol more";
    const why = reduce(unsure, { ...decision(8, "uncertain", "Alice"), since: 2, advice });
    expect(headline(why, LIVE).detail).toContain("The enrolment has 5 s: enrol more.");
    expect(headline(why, LIVE).detail).not.toContain("More speech");
    const taken = reduce(reduce(why, change(9, 10, null)), { ...decision(12, "uncertain", "Alice"), advice });
    expect(headline(taken, LIVE).detail).toContain("The enrolment has 5 s: enrol more.");
  });

  it("keeps one line of the list for a state whose cause becomes another", () => {
    const unsure = after(ready(), decision(2, "uncertain", "Alice"));
    const why = { ...decision(8, "uncertain", "Alice"), since: 2, advice: "the sound is noisy" };
    const view = reduce(unsure, why);
    expect(view.notes).toHaveLength(1);
    expect(noteWords(view.notes[0]!, ["Alice"]).why).toBe("The sound is noisy.");
    expect(view.segments).toHaveLength(1);
    expect(reduce(view, decision(9, "match", "Alice")).notes).toHaveLength(2);
  });

  it("rests on the evidence, not on the window", () => {
    const heard = { ...score(2, "Alice", 0), evidence: 5 };
    const view = after(ready(), vad(0, true), heard, decision(2, "match", "Alice"));
    expect(headline(view, LIVE).detail).toContain("99.3 % likely to be Alice");
  });

  it("only tells changes where nobody is enrolled", () => {
    const view = after(ready({ mode: "changes", claims: [] }), vad(0, true));
    expect(headline(view, LIVE).title).toBe("Same voice so far");
    expect(headline(reduce(view, change(8, 9, null)), LIVE).title).toBe(
      "Another voice took over at 0:08",
    );
  });

  it("says how the connection is before anything else", () => {
    const view = after(ready(), decision(2, "match", "Alice"));
    const gone = headline(view, { ...LIVE, phase: "waiting", retryIn_s: 2.2, kept_s: 12 });
    expect(gone.title).toBe("Disconnected – trying again");
    expect(gone.detail).toBe("Next try in 3 s. 12 s of sound are kept to be sent.");
    const failed = headline(view, { ...LIVE, phase: "failed", problem: "No." });
    expect(failed).toMatchObject({ tone: "off", detail: "No." });
  });

  it("is told to listeners without running figures", () => {
    const view = after(ready(), vad(0, true), quality(0.6));
    expect(spoken(headline(view, LIVE))).toBe("Not enough speech yet. Keep talking.");
  });

  it("mentions silence only when it lasts", () => {
    const view = after(ready(), vad(0, true), decision(2, "match", "Alice"), vad(4, false));
    expect(headline(reduce(view, quality(6)), LIVE).detail).not.toContain("Silent");
    expect(headline(reduce(view, quality(12)), LIVE).detail).toContain("Silent for 8.0 s.");
  });
});

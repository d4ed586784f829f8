import { describe, expect, it } from "vitest";
import { reduce } from "../src/state";
import { emptyView, type View } from "../src/view";
import type { Message } from "voxwatch-client";
import {
  anyOf,
  clock,
  duration,
  noteWords,
  probability,
  likeWords,
  problemWords,
  readings,
  refusal,
  soundAdvice,
  turnWords,
} from "../src/words";
import { change, decision, quality, ready, score, utterance } from "./messages";

function after(...messages: Message[]): View {
  return messages.reduce(reduce, emptyView());
}

it("a turn is told by its own verdict and evidence", () => {
  const turn = utterance({ llr: 4.31, evidence: 6.21 }); // the bound lies between the two
  expect(turnWords(turn, ["Alice"])).toBe("Match – Alice, +6.2 in 1.9 s");
  expect(turnWords({ ...turn, state: "mismatch", evidence: -3 }, ["Alice"])).toBe("Not Alice, −3.0 in 1.9 s");
  const short = { ...turn, state: "insufficient" as const, evidence: null, speech_s: 0.3 };
  expect(turnWords(short, ["Alice"])).toBe("Not enough speech in 0.3 s");
});

it("advice on the sound ends with the server's own", () => {
  expect(soundAdvice(null)).toBe("");
  const wrong = quality(2, { problems: ["rate-suspect"], advice: "start with sample_rate=16000" });
  expect(soundAdvice(wrong)).toBe(
    "The sound comes at another rate than was declared. Start with sample_rate=16000.",
  );
});

it("a voice that is like others is enrolled with a warning that names them", () => {
  expect(likeWords([])).toBe("");
  expect(likeWords(["Bob", "Carol"])).toContain("Careful: Bob or Carol sounds alike");
});

it("words exist for problems of later servers too", () => {
  expect(problemWords("quiet").short).toBe("Too quiet");
  expect(problemWords("rustle").advice).toContain("rustle");
});

it("a recording that joins others may be refused as another voice, which is said", () => {
  const message = "this is another voice than in the recording it was to join";
  const { title, advice } = refusal("several-voices", message, true);
  expect(title).toBe("Not one voice");
  expect(advice).toBe("This is another voice than in the recording it was to join.");
  expect(refusal("several-voices", "more than one voice was heard", false).title).toBe("More than one voice");
});

describe("figures in words", () => {
  it("writes times", () => {
    expect([0, 9.9, 65, 3725].map(clock)).toEqual(["0:00", "0:09", "1:05", "1:02:05"]);
    expect([0.74, 9.97, 59.9, 125].map(duration)).toEqual(["0.7 s", "9.9 s", "59 s", "2 min 5 s"]);
    expect([0.1, 0.3, 1.1, 2.3, 4.1].map(duration)).toEqual(["0.1 s", "0.3 s", "1.1 s", "2.3 s", "4.1 s"]);
  });

  it("never claims certainty", () => {
    expect([0.99999, 0.993, 0.87, 0.0001].map(probability)).toEqual([
      "Over 99.9 %",
      "99.3 %",
      "87 %",
      "Under 0.1 %",
    ]);
  });

  it("lists names", () => {
    expect(anyOf([])).toBe("anybody");
    expect(anyOf(["A", "B", "C"])).toBe("A, B or C");
  });
});

describe("the lights", () => {
  it("are neither good nor bad without a reading", () => {
    expect(readings(null).map((r) => r.light)).toEqual(["none", "none", "none", "none"]);
  });

  it("show each problem at its own light", () => {
    const lights = readings(quality(2, { problems: ["noisy", "quiet"], snr_db: 4 }));
    expect(lights.map((r) => r.light)).toEqual(["bad", "good", "bad", "good"]);
    expect(lights[2]).toMatchObject({ value: "4 dB SNR", word: "noisy" });
  });
});

it("tells zeros from what is not known", () => {
  const lights = readings(quality(2, { level_dbfs: null, snr_db: null, speech_share: 0 }));
  expect(lights.map((r) => r.value)).toEqual(["no sound", "0 %", "no sound", "0 %"]);
  expect(readings(quality(2, { snr_db: null }))[2]!.value).toBe("not known yet");
});

describe("the event list", () => {
  it("says a stranger's label in words", () => {
    const two = { ...change(42, 43.5, "voice-1"), to: "voice-2" };
    const note = { session: 0, t: 42, kind: "change", event: two } as const;
    expect(noteWords(note, []).what).toBe(
      "An unknown voice (voice 2) took over from an unknown voice (voice 1)",
    );
  });

  it("tells when a change began and when it was noticed", () => {
    const note = { session: 0, t: 42, kind: "change", event: change(42, 43.5, "Alice") } as const;
    expect(noteWords(note, [])).toEqual({
      what: "Another voice took over from Alice",
      why: "Began at 0:42, noticed 1.5 s later",
    });
  });

  it("gives a decision's reason", () => {
    const note = { session: 0, t: 2, kind: "decision", event: decision(2, "mismatch", "Bob") } as const;
    expect(noteWords(note, ["Bob"])).toEqual({ what: "Not Bob", why: "because" });
  });
});

it("keeps the best score of several claimed speakers", () => {
  const view = after(ready(), score(2, "Alice", 5), score(2, "Bob", -3));
  expect(view.lastScore?.speaker).toBe("Alice");
});

import { describe, expect, it } from "vitest";
import { fileAddress, serverOf, wishes, withoutToken } from "../src/address";
import { boundLabels, columns, thresholds, turnHeight } from "../src/columns";
import { report } from "../src/report";
import { reduce, restarted } from "../src/state";
import { acceptBound, percent, positionOf, ratesAt, targetAt } from "../src/thresholds";
import { emptyView } from "../src/view";
import { peaksOf, STEP_S, Waveform } from "../src/waveform";
import { levelWords } from "../src/levels";
import { choices } from "../src/microphone/devices";
import { change, decision, ready, score, utterance } from "./messages";

describe("fileAddress", () => {
  it("is beside the page, whatever is below a proxy's path, and without the page's fragment", () => {
    const address = fileAddress("https://x.org/voice/monitor#open=a", "v1/records/s/report.zip", { zone: "Europe/Berlin" });
    expect(address).toBe("https://x.org/voice/v1/records/s/report.zip?zone=Europe%2FBerlin");
  });
});

describe("addresses", () => {
  it("are of the server that has the page, whatever path a proxy put it under", () => {
    expect(serverOf("http://h:8765/")).toBe("http://h:8765/");
    expect(serverOf("https://h/vox/monitor#watch=a")).toBe("https://h/vox/");
  });

  it("say what to watch, and lose their secret", () => {
    expect(wishes("#watch=first&token=s3cret")).toEqual({ watch: "first", token: "s3cret" });
    expect(wishes("")).toEqual({ watch: null, token: null });
    expect(withoutToken("#watch=first&token=s3cret")).toBe("#watch=first");
    expect(withoutToken("#token=s3cret")).toBe("");
  });
});

describe("the labels of the bounds", () => {
  /** Top and bottom of a label of 12 pixels. */
  const box = ([y, baseline]: readonly [number, string]): [number, number] =>
    baseline === "top" ? [y, y + 12] : [y - 12, y];

  it.each([0, 5, 20, 35, 36, 80])("do not meet with %i pixels between the lines", (between) => {
    const places = boundLabels(100, 100 + between, 12);
    const [accept, reject] = [box(places.accept), box(places.reject)];
    expect(accept[1]).toBeLessThan(reject[0] + 1e-9);
    for (const line of [100, 100 + between]) {
      expect([accept, reject].every(([top, bottom]) => bottom < line || top > line)).toBe(true);
    }
  });
});

describe("the threshold", () => {
  const rows = [
    [1, 0.01, 0.012, 0.4],
    [1, 0.05, 0.06, 0.2],
    [4, 0.01, 0.01, 0.1],
    [4, 0.05, 0.04, 0.05],
  ] as const;

  it("is Wald's", () => {
    expect(acceptBound(0.01, 0.05)).toBeCloseTo(4.554);
  });

  it("takes its rates from between what was measured, by factors", () => {
    expect(ratesAt(rows, 4, 0.01)).toEqual({ accepted: 0.01, notAccepted: 0.1 });
    expect(ratesAt(rows, 2, 0.01)!.notAccepted).toBeCloseTo(0.25);
    const rates = ratesAt(rows, 4, Math.sqrt(0.01 * 0.05))!;
    expect(rates.accepted).toBeCloseTo(0.025);
    expect(rates.notAccepted).toBeCloseTo(0.075);
  });

  it("takes more speech than was measured for the most that was", () => {
    expect(ratesAt(rows, 60, 0.01)).toEqual(ratesAt(rows, 4, 0.01));
    expect(ratesAt(rows, 0.5, 0.01)).toEqual(ratesAt(rows, 1, 0.01));
  });

  it("makes nothing up outside of what was stated", () => {
    expect(ratesAt(rows, 4, 0.2)).toBeNull();
    expect(ratesAt(rows, 4, 0.001)).toBeNull();
    expect(ratesAt([], 4, 0.01)).toBeNull();
  });

  it("finds its place on the slider again", () => {
    for (const position of [0, 13, 50, 99, 100]) {
      expect(positionOf(targetAt(position))).toBe(position);
    }
  });

  it("is written with fitting precision", () => {
    expect([0, 0.00005, 0.0005, 0.012, 0.2].map(percent)).toEqual([
      "0 %",
      "under 0.01 %",
      "0.05 %",
      "1.2 %",
      "20 %",
    ]);
  });
});

describe("the waveform", () => {
  it("takes the peak of each piece", () => {
    const samples = Int16Array.from([0, -32768, 300, 0, 512]);
    expect(peaksOf(samples, 2)).toEqual([127, 1, 2]);
  });

  it("gives the highest peak of a time, and nothing where there is none", () => {
    const wave = new Waveform(1);
    wave.push([1, 9, 3]);
    expect(wave.peak(0, 3 * STEP_S)).toBe(9);
    expect(wave.peak(2 * STEP_S, 3 * STEP_S)).toBe(3);
    expect(wave.peak(5, 6)).toBeNull();
  });

  it("forgets the oldest", () => {
    const wave = new Waveform(1);
    wave.push(Array.from({ length: 60 }, (_, i) => i));
    expect(wave.peak(0, 0.1)).toBeNull();
    expect(wave.peak(0.2, 0.22)).toBe(10);
    expect(wave.end_s).toBeCloseTo(1.2);
  });

  it("places what a monitor hears, from wherever it joined", () => {
    const wave = new Waveform(2);
    wave.pushUntil(10.04, [5, 6]);
    expect(wave.peak(9.9, 9.98)).toBeNull();
    expect(wave.peak(10.02, 10.04)).toBe(6);
    wave.pushUntil(10.12, [7, 8]); // two steps never came
    expect([10.05, 10.07, 10.09, 10.11].map((t) => wave.peak(t, t))).toEqual([0, 0, 7, 8]);
    wave.pushUntil(10.14, [8, 9]); // one came before
    expect(wave.end_s).toBeCloseTo(10.14);
  });

  it("starts again with what is kept", () => {
    const wave = new Waveform(1);
    wave.push([1, 2, 3, 4]);
    wave.restart(2 * STEP_S);
    expect(wave.end_s).toBeCloseTo(2 * STEP_S);
    expect(wave.peak(0, STEP_S)).toBe(3);
  });

  it("cuts out what was lost", () => {
    const wave = new Waveform(1);
    wave.push([1, 2, 3, 4, 5]);
    wave.cut(2 * STEP_S, STEP_S);
    expect(wave.end_s).toBeCloseTo(4 * STEP_S);
    expect([0, 1, 2, 3].map((i) => wave.peak(i * STEP_S, i * STEP_S))).toEqual([1, 2, 4, 5]);
  });
});

describe("columns", () => {
  it("leave pauses open and speakers apart", () => {
    const scores = [score(1, "Alice", 5), score(1.5, "Bob", 4), score(4, "Alice", 6)];
    const view = scores.reduce(reduce, emptyView());
    expect(columns(view, ["Alice", "Bob"], "llr").slice(0, 3)).toEqual([
      [1, 1.5, 2.5, 4],
      [5, null, null, 6],
      [undefined, 4, undefined, undefined],
    ]);
  });

  it("show the evidence, and single windows beside it", () => {
    const scores = [{ ...score(1, "Alice", 2), evidence: 6 }, score(1.5, "Alice", 1)];
    const view = scores.reduce(reduce, emptyView());
    expect(columns(view, ["Alice"], "llr")).toEqual([[1, 1.5], [6, 1], [2, undefined]]);
    const [, run, windows] = columns(view, ["Alice"], "posterior");
    expect(run![0]).toBeCloseTo(1 / (1 + Math.exp(-6)));
    expect(windows![0]).toBeCloseTo(1 / (1 + Math.exp(-2)));
  });

  it("put the bounds on the scale of probabilities by the server's prior", () => {
    const even = reduce(reduce(emptyView(), ready()), score(1, "Alice", 1));
    expect(thresholds(even, "posterior")!.accept).toBeCloseTo(0.9896, 3);
    const rare = { ...score(1, "Alice", 1), posterior: 1 / (1 + Math.exp(2)) }; // a prior of 1:e^3
    const found = thresholds(reduce(reduce(emptyView(), ready()), rare), "posterior")!;
    expect(found.accept).toBeCloseTo(1 / (1 + Math.exp(-(4.55 - 3))));
  });

  it("put a turn where its state is, of the bounds, and not its ratio", () => {
    const told = utterance({ state: "match", llr: 2.6, evidence: 4.6 });
    const view = [ready(), score(1, "Alice", 1), told].reduce(reduce, emptyView());
    const { accept } = thresholds(view, "llr")!;
    expect(turnHeight(view, told, "llr")).toBe(4.6);
    expect(turnHeight(view, told, "llr")!).toBeGreaterThan(accept);
    expect(turnHeight(view, told, "posterior")!).toBeGreaterThan(thresholds(view, "posterior")!.accept);
    expect(turnHeight(view, utterance({ llr: null, evidence: null }), "llr")).toBeNull();
  });

  it("have no bounds where nobody is compared", () => {
    expect(thresholds(reduce(emptyView(), ready({ mode: "changes" })), "llr")).toBeNull();
  });
});

describe("the report", () => {
  it("tells who spoke when, and no secret", () => {
    const messages = [ready(), decision(2, "match", "Alice"), change(8, 9.5, "Alice")];
    const view = [...messages, decision(10, "mismatch", "Alice"), score(20, "Alice", -6)].reduce(
      reduce,
      emptyView(),
    );
    const made = report(view, new Date(0));
    expect(made.timeline).toEqual([
      { start_s: 2, end_s: 8, state: "match", speaker: "Alice" },
      { start_s: 8, end_s: 10, state: "changed", speaker: null },
      { start_s: 10, end_s: 20, state: "mismatch", speaker: "Alice" },
    ]);
    expect(made.changes).toEqual([{ at_s: 8, detected_at_s: 9.5, from: "Alice", to: null }]);
    expect(made.question).toBe("Is it Alice?");
    expect(JSON.stringify(made)).not.toContain("secret");
  });

  it("keeps the sessions before a restart of the server", () => {
    const first = [ready(), decision(2, "match", "Alice")].reduce(reduce, emptyView());
    const view = reduce(restarted(first, 0, "gone"), decision(3, "mismatch", "Alice"));
    const made = report(view, new Date(0));
    expect(made.timeline.map((line) => line.state)).toEqual(["mismatch"]);
    expect(made.earlier.map((part) => part.timeline.map((line) => line.state))).toEqual([["match"]]);
  });
});

it("the microphones of a browser are each told once, the default first", () => {
  const input = (deviceId: string, groupId = deviceId, label = deviceId) => ({
    kind: "audioinput" as const,
    deviceId,
    groupId,
    label,
  });
  const devices = [
    input("default", "a"),
    input("communications", "b"),
    input("a"),
    input("b"),
    input("c", "c", ""),
    { ...input("d"), kind: "audiooutput" as const },
  ];
  expect(choices(devices).map(({ id }) => id)).toEqual([null, "a", "b"]);
});

it("a level is called good only where speech would be", () => {
  expect(levelWords(0)).toContain("Say a sentence");
  expect(levelWords(3)).toContain("Quiet");
  expect(levelWords(60)).toBe("Good.");
  expect(levelWords(127)).toContain("Too loud");
});

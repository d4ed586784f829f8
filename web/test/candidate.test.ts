import { describe, expect, it } from "vitest";
import { hearing, type Situation } from "../src/candidate/hearing";
import { MicrophoneTrial } from "../src/candidate/trial";
import { EN as en } from "../src/candidate/words/en";

const WELL: Situation = {
  phase: "live",
  tries: 0,
  fault: null,
  dead: false,
  online: true,
  unsent_s: 0,
  kept_s: 0.5,
  unanswered_s: 1,
  lost_s: 0,
  quality: null,
};
const titled = (change: Partial<Situation>): string => hearing({ ...WELL, ...change }, en).title;

describe("what is said while the server answers late", () => {
  it("is that the page connects, until a try has failed", () => {
    expect(titled({ phase: "connecting", unsent_s: 8 })).toBe(en.heard.connectingTitle);
    expect(titled({ phase: "connecting", unsent_s: 8, tries: 1 })).toBe(en.heard.awayTitle);
    expect(titled({ phase: "connecting", unsent_s: 1, tries: 1 })).toBe(en.heard.connectingTitle);
    expect(titled({ phase: "waiting", unsent_s: 8, tries: 1 })).toBe(en.heard.awayTitle);
    expect(titled({ phase: "connecting", online: false })).toBe(en.heard.offlineTitle);
  });

  it("is that nobody is heard where the network swallows all, and how much is kept of it", () => {
    expect(titled({ unanswered_s: 5, kept_s: 6 })).toBe(en.heard.title);
    const swallowed = { ...WELL, unanswered_s: 9, kept_s: 11 };
    expect(hearing(swallowed, en)).toMatchObject({ tone: "problem", title: en.heard.awayTitle });
    expect(hearing(swallowed, en).text).toContain("11 seconds of your sound are kept");
    expect(hearing({ ...swallowed, phase: "waiting", unsent_s: 2 }, en).text).toContain("11 seconds");
  });
});

/** What a trial finds where the room is so loud, and what comes after the silence as well. */
function found(room: number, voice: number): string[] {
  const trial = new MicrophoneTrial();
  for (let i = 0; i < 180; i += 1) trial.hear(new Int16Array(4800).fill(i < 30 ? room : voice));
  return trial.findings().map(({ what }) => what);
}

describe("a test of the microphone in which no voice stands out", () => {
  it("blames the noise where there is much", () => expect(found(2000, 3000)).toEqual(["noisy"]));
  it("hears no voice where the room is quiet", () => expect(found(20, 20)).toEqual(["nothing"]));
  it("tells a microphone that is off", () => expect(found(0, 0)).toEqual(["dead"]));
  it("finds a voice above the noise", () =>
    expect(found(20, 3000)).toEqual(["loudEnough", "quietEnough"]));
});

import { describe, expect, it } from "vitest";
import PAGE from "../candidate.html?raw";
import { ending, hearing, soundWords, type Situation } from "../src/candidate/hearing";
import { bestOf, fill, LANGUAGES, type Language } from "../src/candidate/language";
import type { Words } from "../src/candidate/words/en";
import { quality } from "./messages";

const TAGS = Object.keys(LANGUAGES) as Language[];

/** Every text by its section and key. */
function texts(words: Words): Map<string, string> {
  const sections = Object.entries(words) as [string, Record<string, string>][];
  const all = sections.flatMap(([section, keys]) =>
    Object.entries(keys).map(([key, text]) => [`${section}.${key}`, text] as const),
  );
  return new Map(all);
}

function places(text: string): string[] {
  return (text.match(/\{\w+\}/g) ?? []).sort();
}

const ENGLISH = texts(LANGUAGES.en.words);
// What is the same word in another language.
const SAME: Partial<Record<Language, string[]>> = {
  fr: ["steps.mic", "heard.device"],
  es: ["page.no"],
  it: ["page.no"],
};

describe.each(TAGS)("%s", (tag) => {
  const { name, words } = LANGUAGES[tag];
  const all = texts(words);

  it("has every text, and no other", () => {
    expect(name).not.toBe("");
    expect([...all.keys()].sort()).toEqual([...ENGLISH.keys()].sort());
    expect([...all].filter(([, text]) => text.trim() !== text || text === "")).toEqual([]);
  });

  it("says in each what is told there", () => {
    for (const [key, text] of all) expect([key, places(text)]).toEqual([key, places(ENGLISH.get(key)!)]);
  });

  it("leaves nothing in English", () => {
    const same = [...all].filter(([key, text]) => text === ENGLISH.get(key)).map(([key]) => key);
    if (tag !== "en") expect(same.sort()).toEqual((SAME[tag] ?? []).sort());
  });

  it("has every text that stands in the page", () => {
    const wanted = [...PAGE.matchAll(/data-say="([\w.]+)"/g)].map(([, key]) => key!);
    expect(wanted.length).toBeGreaterThan(10);
    expect(wanted.filter((key) => !all.has(key))).toEqual([]);
  });

  it("tells how somebody is heard", () => {
    const well: Situation = {
      phase: "live", tries: 0, fault: null, dead: false, online: true, unsent_s: 0, kept_s: 0, unanswered_s: 0, lost_s: 0, quality: null,
    };
    expect(hearing(well, words).title).toBe(words.heard.title);
    for (const [other, title] of [
      [{ fault: "muted" }, words.faultTitle.muted],
      [{ dead: true }, words.heard.deadTitle],
      [{ unsent_s: 200 }, words.heard.lateTitle],
      [{ phase: "connecting", tries: 1, unsent_s: 4 }, words.heard.awayTitle],
      [{ phase: "connecting", online: false }, words.heard.offlineTitle],
    ] as [Partial<Situation>, string][]) {
      const told = hearing({ ...well, ...other }, words);
      expect(told.title).toBe(title);
      expect(told.text).not.toContain("{");
    }
    expect(ending("taken-over")!.title(words)).toBe(words.notice.takenTitle);
    const bad = quality(1, { problems: ["noisy", "no-speech", "of-a-later-server" as "noisy"] });
    expect(soundWords(bad, words)).toBe(words.problem.noisy);
  });
});

it("the first language that there is, is that of the page", () => {
  expect(bestOf(["de-CH", "fr"])).toBe("de");
  expect(bestOf(["nl-BE", "pt-BR", "en"])).toBe("pt");
  expect(bestOf(["trv", "constructor", ""])).toBe("en");
  expect(bestOf([])).toBe("en");
});

it("what is told is put into its place, whatever it is", () => {
  expect(fill("{name} · {time}", { name: "$& {time}", time: "9" })).toBe("$& {time} · 9");
});

import { describe, expect, it } from "vitest";
import type { MonitorMessage } from "voxwatch-client";
import { fragmentOf, placeOf } from "../../src/address";
import { roughly, timeOfDay } from "../../src/times";
import { Board, type RosterLine } from "../../src/wall/board";
import { expiryWords } from "../../src/wall/expiry";
import { lookOf, orderOf, titleOf, urgency } from "../../src/wall/kinds";
import { recordTrouble } from "../../src/wall/trouble";
import { countWords, lateWords, presentWords, whenWords } from "../../src/wall/words";
import { board, incident } from "./seats";

describe("what expires", () => {
  const token = { name: "desk", roles: ["monitor"], expires_at: 90_000, own: false };
  const words = (token: Parameters<typeof expiryWords>[0][number]): string => expiryWords([token], [], () => null, 1000)[0]!;

  it("is told of tokens with what to do", () => {
    expect(words({ ...token, own: true })).toMatch(/^Your token expires on \d+ January, \d\d:\d\d\. Ask for another/);
    expect(words(token)).toMatch(/^The token "desk" expires on .*Give whoever has it another one/);
    expect(words({ ...token, expires_at: 900 })).toMatch(/^The token "desk" expired on .*shut out/);
  });

  it("is told of links half an hour before, the first to end first, and of three by name", () => {
    const found = board("Ada", "Bo", "Cy", "Di", "Ed");
    const ends = [5000, 2500, 2000, 2700, 2600];
    found.all("").forEach((seat, i) => (seat.live!.link_expires_at = ends[i]!));
    const lines = (now: number): string[] => expiryWords([], found.all(""), () => null, now);
    expect(lines(100)).toEqual([]);
    expect(lines(200)).toEqual([
      `The candidate link of Cy expires at ${timeOfDay(2000)}, in 30 min. Then nothing more is heard: give them a later one.`,
    ]);
    expect(lines(1000)[0]).toMatch(/^Candidate links expire soon, of Cy, Bo, Ed, 1 more: the first at /);
    found.told({ type: "closed", seq: 0, t: 0, stream: "s3", code: 1000 } as MonitorMessage);
    expect(lines(200)).toEqual([]);
  });

  it("is told of links that nobody has opened, where they end before the exam", () => {
    const found = new Board();
    const line = { candidate: "", number: "", accommodations: [], opened_at: null };
    const ends = { Ada: 2000, Bo: 2600, Cy: 9000, Di: 2100, Ed: null };
    const roster = Object.entries(ends).map(([name, link_expires_at]): RosterLine => {
      const opened_at = name === "Di" ? 50 : null;
      return { ...line, candidate: name, name, opened_at, link_expires_at };
    });
    found.enrol("x", roster);
    let end: number | null = 8000;
    const lines = (now: number): string[] => expiryWords([], found.all("x"), () => end, now);
    expect(lines(100)).toEqual([]);
    const ada = `The candidate link of Ada expires at ${timeOfDay(2000)}, in 30 min, and was not opened: give them a later one.`;
    expect(lines(200)).toEqual([ada]);
    expect(lines(1000)[0]).toMatch(/^Candidate links that were not opened .*, of Ada, Bo: the first expires at .*in 16 min/);
    expect(lines(3000)[0]).toContain("the first expired at");
  });

  it("is told of links by which somebody was here, once they hold no more before the exam ends", () => {
    const found = new Board();
    const line = { candidate: "", number: "", accommodations: [], opened_at: 50 };
    const ends = { Ada: 2000, Bo: 2600, Cy: 9000, Ed: null };
    const roster = Object.entries(ends).map(([name, link_expires_at]): RosterLine => ({
      ...line, candidate: name, name, link_expires_at,
    }));
    found.enrol("x", roster);
    let end: number | null = 8000;
    const lines = (now: number): string[] => expiryWords([], found.all("x"), () => end, now);
    expect(lines(1999)).toEqual([]);
    expect(lines(2000)).toEqual([
      "The candidate link of Ada expired before the exam's end, and nobody is heard by it: give them a later one, unless they have finished.",
    ]);
    expect(lines(2700)[0]).toMatch(/^The candidate links of Ada, Bo expired .* by them/);
    expect(lines(4000)[0]).toMatch(/^The candidate link of Bo expired/); // what is longer ago is no news
    expect(lines(5000)).toEqual([]);
    end = 2650; // the exam's plan, which nobody ended
    expect(lines(2700)).toEqual([]);
    end = null; // somebody has ended it
    expect(lines(3000)).toEqual([]);
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
    expect(lateWords(incident())).toBe("");
    const came = `Its sound came later than it was said, at ${timeOfDay(1080)}.`;
    expect(lateWords(incident({ came_at: 1080 }))).toBe(came);
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

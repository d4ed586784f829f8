import { describe, expect, it } from "vitest";
import { reduce } from "../src/state";
import { emptyView, type View } from "../src/view";
import type { Message } from "voxwatch-client";
import { change, decision } from "./messages";

function after(...messages: Message[]): View {
  return messages.reduce(reduce, emptyView());
}

describe("the timeline", () => {
  it("follows decisions", () => {
    const view = after(decision(2, "match", "Alice"), decision(9, "mismatch", "Alice"));
    expect(view.segments).toEqual([
      { start: 2, end: 9, state: "match", speaker: "Alice" },
      { start: 9, end: null, state: "mismatch", speaker: "Alice" },
    ]);
  });

  it("takes the time since a change from who was matched then", () => {
    const view = after(decision(2, "match", "Alice"), change(8, 10, "Alice"));
    expect(view.segments).toEqual([
      { start: 2, end: 8, state: "match", speaker: "Alice" },
      { start: 8, end: null, state: "changed", speaker: null },
    ]);
    expect(view.takeover?.at).toBe(8);
  });

  it("only parts two voices that nobody knows", () => {
    const view = after(decision(2, "unknown", null), change(8, 10, null));
    expect(view.segments.map((s) => [s.start, s.state])).toEqual([
      [2, "unknown"],
      [8, "unknown"],
    ]);
  });

  it("never runs backwards, however early a change is dated", () => {
    const view = after(
      decision(2, "match", "Alice"),
      decision(6, "uncertain", null),
      change(5, 7, "Alice"),
    );
    expect(view.segments.map((s) => [s.start, s.end])).toEqual([
      [2, 5],
      [5, null],
    ]);
  });
});

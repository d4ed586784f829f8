/** Who speaks when, as decisions and changes tell it: each begins a segment that ends the last. */

import type { Change, Decision } from "voxwatch-client";
import { bounded, noted } from "./notes";
import type { Segment, View } from "./view";
import { isLabel } from "./words";

const SEGMENTS = 5000; // for the report: hours of lively conversation
const CHANGES = 200;

/** The view after a decision. */
export function decided(view: View, decision: Decision): View {
  const settled = decision.state === "match";
  const next = {
    ...view,
    decision,
    takeover: settled ? null : view.takeover,
    segments: continued(view.segments, {
      start: decision.since,
      end: null,
      state: decision.state,
      speaker: decision.speaker,
    }),
  };
  const note = view.notes.at(-1);
  const again = note?.event === view.decision && note?.t === decision.since && repeats(view, decision);
  const notes = again ? view.notes.slice(0, -1) : view.notes;
  return noted({ ...next, notes }, decision.since, "decision", decision);
}

/** Whether a decision only says another cause of the state that the last one told. */
function repeats({ decision: last }: View, { state, speaker }: Decision): boolean {
  return last?.state === state && last.speaker === speaker;
}

/** The view after another voice came. */
export function changed(view: View, change: Change): View {
  const told = { ...change, from: knownBefore(view, change) };
  const last = view.segments.at(-1);
  // What a score in favour of somebody said no longer holds; a stranger gives way to another.
  const known = last?.state === "mismatch" || last?.state === "unknown" ? last : null;
  const segment: Segment = {
    start: change.at,
    end: null,
    state: known?.state ?? "changed",
    speaker: known?.speaker ?? null,
  };
  const next = {
    ...view,
    takeover: told,
    changes: bounded([...view.changes, change], CHANGES),
    segments: continued(view.segments, segment),
  };
  return noted(next, change.at, "change", told);
}

/** Who it was until a change, where that was decided; what was only unsure names nobody. */
function knownBefore(view: View, change: Change): string | null {
  const before = view.segments.findLast(({ start }) => start < change.at);
  switch (before?.state) {
    case "match":
      return before.speaker === change.from ? change.from : null;
    case "unknown":
    case "mismatch":
      return change.from && isLabel(change.from) ? change.from : null;
    default:
      return null;
  }
}

/** Segments with one more; it may begin before now, and then takes time from the last. */
export function continued(segments: Segment[], segment: Segment): Segment[] {
  const kept = segments.filter((s) => s.start < segment.start);
  const last = kept.at(-1);
  if (last && (last.end === null || last.end > segment.start)) {
    kept[kept.length - 1] = { ...last, end: segment.start };
  }
  return bounded([...kept, segment], SEGMENTS);
}

/** The list of what happened, as it grows by a line or a line changes. */

import type { Note, Outage, View } from "./view";
import type { Lag } from "voxwatch-client";

const NOTES = 2000; // hours of lively conversation
const OUTAGES = 12; // lines about what was late or lost
const SAME_OUTAGE_S = 30; // losses that follow each other faster are told as one

/** One more line in the list of what happened. */
export function noted(view: View, t: number, kind: Note["kind"], event: Note["event"]): View {
  return { ...view, notes: bounded([...view.notes, { session: view.session, t, kind, event }], NOTES) };
}

/** Notices of one outage are one line, and those lines never crowd out what was decided. */
export function outage(view: View, lag: Lag): View {
  const over = lag.reason === "overload" && lag.behind_s <= 0;
  const at = view.notes.findLastIndex((note) => continues(note, view.session, lag));
  const before = at < 0 ? null : (view.notes[at]!.event as Outage);
  if (!before && over && lag.dropped === 0) return view;
  const event: Outage = {
    reason: lag.reason,
    start: before?.start ?? lag.t,
    end: lag.t,
    behind_s: lag.behind_s,
    worst_s: Math.max(before?.worst_s ?? 0, lag.behind_s),
    hop_s: lag.hop_s ?? before?.hop_s ?? null,
    dropped: (before?.dropped ?? 0) + lag.dropped,
    over,
  };
  if (before) {
    const notes = view.notes.map((note, i) => (i === at ? { ...note, event } : note));
    return { ...view, notes };
  }
  const lags = view.notes.filter(({ kind }) => kind === "lag");
  const oldest = lags.length >= OUTAGES ? lags[0] : null;
  const notes = view.notes.filter((note) => note !== oldest);
  return noted({ ...view, notes }, lag.t, "lag", event);
}

/** Whether a notice is of the outage that a line tells of. */
function continues(note: Note, session: number, lag: Lag): boolean {
  if (note.kind !== "lag" || note.session !== session) return false;
  const told = note.event as Outage;
  if (told.reason !== lag.reason || told.over) return false;
  return lag.reason === "overload" || lag.t - told.end < SAME_OUTAGE_S;
}

/** The newest `most` of them. */
export function bounded<T>(items: T[], most: number): T[] {
  return items.length > most ? items.slice(items.length - most) : items;
}

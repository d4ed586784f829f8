/** Incidents and what people did about them, as the server tells them. Times: `t`, `since` and
 * `until` in seconds of media, those with `_at` in seconds since 1970. */

import type { Base, Incident as Told, Judgement } from "voxwatch-client";

/** As it is told, or answered by the request for those of a stream or an exam. */
export interface Incident extends Omit<Told, "type" | keyof Base | "kind" | "severity"> {
  stream: string;
  /** Of `KINDS` in wall/kinds.ts; a later server may know more. */
  kind: string;
  /** Of the stream, where it may be over and is in no other list. */
  label?: string;
  exam?: string | null;
  candidate?: string | null;
}

export interface Act {
  at: number;
  who: string;
  act: string;
  incident?: string | null;
  text?: string;
  verdict?: Judgement | null;
}

/** Nobody has acknowledged it, and it is nothing that this candidate is allowed. */
export function isUnseen(incident: Incident): boolean {
  return incident.acknowledged_at === null && !incident.note_only;
}

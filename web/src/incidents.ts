/** Incidents and what people did about them, as the server tells them. Times: `t`, `since` and
 * `until` in seconds of media, those with `_at` in seconds since 1970. */

import type { Base } from "./wire";

export interface Incident {
  id: string;
  stream: string;
  /** Of `KINDS` in wall/kinds.ts; a later server may know more. */
  kind: string;
  since: number;
  /** null: it goes on. */
  until: number | null;
  since_at: number;
  until_at: number | null;
  evidence: number | null;
  /** Net speech that it rests on. */
  speech_s: number;
  /** Who speaks: a name, or the session's label of a voice. */
  voice: string | null;
  /** Part of the speech that another voice has. */
  share: number | null;
  /** How often it happened within that time. */
  count?: number;
  /** A sentence. */
  reason: string;
  /** Allowed for this candidate: told, and calls nobody. */
  note_only: boolean;
  acknowledged_by: string | null;
  acknowledged_at: number | null;
  /** Of the stream, where it may be over and is in no other list. */
  label?: string;
  exam?: string | null;
  candidate?: string | null;
}

export interface IncidentTold extends Base, Incident {
  type: "incident";
  stream: string;
}

export type Verdict = "cleared" | "violation" | "needs-review";

export interface Act {
  at: number;
  who: string;
  act: string;
  incident?: string | null;
  text?: string;
  verdict?: Verdict | null;
}

export interface Acted extends Base, Act {
  type: "act";
}

/** Nobody has acknowledged it, and it is nothing that this candidate is allowed. */
export function isUnseen(incident: Incident): boolean {
  return incident.acknowledged_at === null && !incident.note_only;
}

/**
 * A seat is a candidate of an exam with all of their streams, or one stream that is of no exam; and
 * how it stands. No DOM, no clock.
 */

import { isUnseen, type Incident } from "../incidents";
import type { State } from "voxwatch-client";
import { anyOf } from "../words";
import { urgency, type Standing } from "./kinds";

export interface Seat {
  key: string;
  label: string;
  /** By which the examiner knows the candidate; "" without a roster. */
  number: string;
  exam: string | null;
  claims: readonly string[];
  accommodations: readonly string[];
  /** They took their consent back. */
  withdrawn: boolean;
  /** They have not opened their link. */
  unopened: boolean;
  /** Seconds since 1970 until which the link holds that was given out; null: not known. */
  link_expires_at: number | null;
  enrolled: boolean;
  /** Oldest first; none: not here yet. */
  streams: string[];
  /** Of the newest stream; null once it is over. */
  live: Live | null;
  incidents: Map<string, Incident>;
}

export interface Live {
  state: State | null;
  speaking: boolean;
  stalled: boolean;
  /** Seconds since 1970 at which the candidate's link ends it; null without a link. */
  link_expires_at: number | null;
}

/** What a tile shows. */
export interface Status {
  /** Of kinds.ts. */
  kind: string;
  /** What it is about; null while nothing is. */
  incident: Incident | null;
  /** Incidents that nobody has acknowledged. */
  unseen: Incident[];
}

/** Before anything is known of it. */
export function emptySeat(key: string): Seat {
  return {
    key,
    label: "",
    number: "",
    exam: null,
    claims: [],
    accommodations: [],
    withdrawn: false,
    unopened: false,
    link_expires_at: null,
    enrolled: true,
    streams: [],
    live: null,
    incidents: new Map(),
  };
}

export function nameOf(seat: Seat): string {
  return seat.label || (seat.claims.length > 0 ? anyOf(seat.claims) : `Stream ${seat.key.slice(0, 8)}`);
}

/** Whether what is claimed is the voiceprint of the candidate, whatever that is called. */
export function isOwn(seat: Seat): boolean {
  return seat.exam !== null && seat.label !== "" && seat.claims.length === 1;
}

export function statusOf(seat: Seat): Status {
  const incidents = [...seat.incidents.values()].sort(byNeed);
  const unseen = incidents.filter(isUnseen);
  const lasting = incidents.find(({ until, note_only }) => until === null && !note_only);
  const incident = unseen[0] ?? (seat.live ? lasting : undefined) ?? null;
  return { kind: incident?.kind ?? standing(seat), incident, unseen };
}

/** Most in need first; what goes on before what is over; the newest first. */
export function byNeed(a: Incident, b: Incident): number {
  const over = Number(a.until !== null) - Number(b.until !== null);
  return urgency(a.kind) - urgency(b.kind) || over || b.since_at - a.since_at;
}

function standing(seat: Seat): Standing {
  if (!seat.live && seat.withdrawn) return "withdrawn";
  if (!seat.live) return seat.streams.length > 0 ? "left" : absence(seat);
  if (seat.live.stalled) return "stalled";
  switch (seat.live.state) {
    case "match":
      return "fine";
    case "mismatch":
    case "unknown":
      return "doubt";
    case "uncertain":
      return "unsure";
    default:
      return "listening";
  }
}

/** Why somebody is not here yet, as far as the desk can do something about it. */
function absence(seat: Seat): Standing {
  if (seat.unopened) return "unopened";
  return seat.enrolled ? "absent" : "unenrolled";
}

/** Whether somebody who has not come yet has no voiceprint to be held to. */
export function lacksVoiceprint(seat: Seat): boolean {
  return seat.streams.length === 0 && !seat.enrolled;
}

/** Incidents, seats and verdicts in words. */

import type { Judgement } from "voxwatch-client";
import type { Incident } from "../incidents";
import { roughly, timeOfDay } from "../times";
import { anyOf } from "../words";
import { lookOf, titleOf } from "./kinds";
import type { Placed } from "./order";
import type { ClipsAnswer } from "./record";
import { isOwn, lacksVoiceprint, nameOf, type Seat } from "./seat";

/** When it was, by the time of day: the exact moment, and how that stands to now. */
export function whenWords(incident: Incident, now: number): { moment: string; ago: string } {
  const { since_at, until_at } = incident;
  const began = timeOfDay(since_at);
  if (until_at !== null) {
    const ended = timeOfDay(until_at);
    const moment = ended === began ? began : `${began}–${ended}`;
    return { moment, ago: roughly(until_at - since_at) };
  }
  const lasts = roughly(now - since_at);
  return incident.kind === "takeover"
    ? { moment: `at ${began}`, ago: `${lasts} ago` }
    : { moment: `since ${began}`, ago: `for ${lasts}` };
}

/** That its sound came later than it was said; "" where it did not. */
export function lateWords({ came_at }: Incident): string {
  return came_at ? `Its sound came later than it was said, at ${timeOfDay(came_at)}.` : "";
}

/** Whom the voice should be, for a line about an incident; "" where nobody was claimed. */
export function expected(seat: Seat): string {
  if (isOwn(seat)) return seat.label;
  return seat.claims.length > 0 ? anyOf(seat.claims) : "";
}

/** For who hears the page, and for the desktop. */
export function told(incident: Incident, seat: Seat): string {
  return `${nameOf(seat)}: ${titleOf(incident, expected(seat))}, at ${timeOfDay(incident.since_at)}`;
}

/** What a small tile says below the name. */
export function shortWords({ seat, status }: Placed): string {
  const lacking = status.kind === "unopened" && lacksVoiceprint(seat) ? ["not enrolled"] : [];
  return [lookOf(status.kind).word, ...lacking, ...seat.accommodations].join(" · ");
}

/** What a tile says below the name, of who needs attention. */
export function tileWords({ seat, status }: Placed): string {
  const { kind, incident } = status;
  if (incident) return titleOf(incident, expected(seat));
  return lookOf(kind).word;
}

export function countWords(needing: number, all: number, connected: boolean): string {
  if (!connected) return needing > 0 ? `Not connected: ${needing} needed attention` : "Not connected";
  if (needing > 0) return `${needing} ${needing === 1 ? "needs" : "need"} attention`;
  return all > 0 ? "Nobody needs attention" : "Nobody is here yet";
}

/** How many there are, and how many of them are being heard. */
export function presentWords(all: number, live: number): string {
  const candidates = `${all} ${all === 1 ? "candidate" : "candidates"}`;
  return all === live ? candidates : `${candidates}, ${live} of them live`;
}

export const VERDICTS: Record<Judgement, string> = {
  cleared: "Cleared",
  violation: "Violation",
  "needs-review": "Needs review",
};

/** Whether there may be sound to listen to. */
export const CLIPS: Record<ClipsAnswer, string> = {
  agreed: "Agreed to clips of sound",
  refused: "Refused clips of sound",
  unanswered: "Did not say whether sound may be kept",
};

/** What this candidate is allowed; "" for nothing. */
export function allowedWords(accommodations: readonly string[]): string {
  return accommodations.length > 0 ? `Allowed: ${accommodations.join(", ")}` : "";
}
